package podman

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/docker/docker/api/types/image"

	"github.com/sextant-fleet/sextant/fleet"
)

// pull sends POST /libpod/images/pull, whose answer is lines of JSON with what
// Podman says for people, and at its end the image or an error.
func (p *podmanAPI) pull(ctx context.Context, name string, say func(string)) (string, error) {
	resp, err := p.conn.DoRequest(flowing(ctx, lines), nil, http.MethodPost, "/images/pull", url.Values{"reference": {name}}, nil)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	if err := good(resp.IsSuccess(), resp.StatusCode, resp.Body); err != nil {
		return "", err
	}
	id := ""
	err = messages(resp.Body, func(line []byte) error {
		var m struct{ Stream, Error, ID string }
		if err := json.Unmarshal(line, &m); err != nil {
			return fmt.Errorf("this is no answer to a pull: %w", jsonError(err))
		}
		if m.Error != "" {
			return errors.New(fleet.Short(fleet.Clean(strings.TrimSpace(m.Error)), 400))
		}
		if s := text(strings.TrimSpace(m.Stream)); s != "" {
			say(s)
		}
		if imageID.MatchString(m.ID) {
			id = m.ID
		}
		return nil
	})
	return pulled(ctx, id, err)
}

// pulled gives the image that a pull brought. An answer that ends without one was
// broken off.
func pulled(ctx context.Context, id string, err error) (string, error) {
	switch {
	case ctx.Err() != nil:
		return "", context.Cause(ctx)
	case id != "":
		return id, nil
	case err == nil || errors.Is(err, io.EOF):
		err = errBrokenOff
	}
	return "", err
}

// good gives the error of an answer that says no.
func good(ok bool, status int, body io.Reader) error {
	if ok {
		return nil
	}
	b, err := io.ReadAll(io.LimitReader(body, maxError))
	if err != nil {
		return err
	}
	return refusal(status, b)
}

// do sends a request whose answer says no more than whether it was done.
func (p *podmanAPI) do(ctx context.Context, method, endpoint string, params url.Values, in ...string) error {
	resp, err := p.conn.DoRequest(flowing(ctx, slow), nil, method, endpoint, params, nil, in...)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	return good(resp.IsSuccess(), resp.StatusCode, resp.Body)
}

func (p *podmanAPI) tag(ctx context.Context, id, repository, tag string) error {
	return p.do(ctx, http.MethodPost, "/images/%s/tag", url.Values{"repo": {repository}, "tag": {tag}}, id)
}

func (p *podmanAPI) untag(ctx context.Context, id, repository, tag string) error {
	return p.do(ctx, http.MethodPost, "/images/%s/untag", url.Values{"repo": {repository}, "tag": {tag}}, id)
}

// removeImage removes an image with all its names. Podman does not where a container
// has it, and keeps layers that others need.
func (p *podmanAPI) removeImage(ctx context.Context, id string, names []string) error {
	for _, n := range names { // one that has several is not removed by its ID
		if err := p.untag(ctx, id, fleet.ImageRepository(n), fleet.ImageTag(n)); err != nil {
			return err
		}
	}
	return p.do(ctx, http.MethodDelete, "/images/%s", nil, id)
}

// unique tells how many bytes each image alone takes: GET /libpod/system/df.
func (p *podmanAPI) unique(ctx context.Context) (map[string]uint64, error) {
	body, err := p.open(flowing(ctx, slow), "/system/df", nil)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	b, err := io.ReadAll(body)
	if err != nil {
		return nil, err
	}
	var in struct {
		Images []struct {
			ImageID    string
			UniqueSize int64
		}
	}
	if err := json.Unmarshal(b, &in); err != nil {
		return nil, fmt.Errorf("this does not say what images take: %w", jsonError(err))
	}
	out := map[string]uint64{}
	for _, i := range in.Images {
		out[text(i.ImageID)] = uint64(max(0, i.UniqueSize))
	}
	return out, nil
}

// pull has Docker pull: without a login, which is the client's to give there.
func (d *dockerAPI) pull(ctx context.Context, name string, say func(string)) (string, error) {
	if err := d.agree(ctx); err != nil {
		return "", err
	}
	body, err := d.cli.ImagePull(flowing(ctx, lines), name, image.PullOptions{})
	if err != nil {
		return "", err
	}
	defer body.Close()
	err = messages(body, func(line []byte) error {
		var m struct{ Status, ID, Progress, Error string }
		if err := json.Unmarshal(line, &m); err != nil {
			return fmt.Errorf("this is no answer to a pull: %w", jsonError(err))
		}
		if m.Error != "" {
			return errors.New(fleet.Short(fleet.Clean(m.Error), 400))
		}
		if m.Progress == "" { // those come many times a second
			say(text(strings.TrimSpace(m.ID + " " + m.Status)))
		}
		return nil
	})
	if err != nil && !errors.Is(err, io.EOF) {
		return pulled(ctx, "", err)
	}
	in, err := d.cli.ImageInspect(ctx, name)
	return pulled(ctx, in.ID, err)
}

func (d *dockerAPI) tag(ctx context.Context, id, repository, tag string) error {
	return d.cli.ImageTag(ctx, id, repository+":"+tag)
}

func (d *dockerAPI) untag(ctx context.Context, _, repository, tag string) error {
	_, err := d.cli.ImageRemove(ctx, repository+":"+tag, image.RemoveOptions{})
	return err
}

func (d *dockerAPI) removeImage(ctx context.Context, id string, names []string) error {
	for _, n := range names { // with its last name it is gone
		if _, err := d.cli.ImageRemove(ctx, n, image.RemoveOptions{}); err != nil {
			return err
		}
	}
	if len(names) > 0 {
		return nil
	}
	_, err := d.cli.ImageRemove(ctx, id, image.RemoveOptions{})
	return err
}

// unique: Docker tells it nowhere but in a question that looks at every volume, too.
func (d *dockerAPI) unique(context.Context) (map[string]uint64, error) {
	return nil, errNotTold
}
