package podman

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/docker/docker/api/types/image"

	"github.com/sextant-fleet/sextant/fleet"
)

// imageAPI is what an engine is asked of its images.
type imageAPI interface {
	// imageList gives all images that are no layers of others alone.
	imageList(ctx context.Context) ([]fleet.Image, error)
	// pull fetches an image from its registry, says how far it is, and gives its ID.
	// It is ended with its context.
	pull(ctx context.Context, name string, say func(line string)) (id string, err error)
	// tag gives an image a name, and takes it from another that has it.
	tag(ctx context.Context, id, repository, tag string) error
	// untag takes a name from an image.
	untag(ctx context.Context, id, repository, tag string) error
	// removeImage removes an image that has these names.
	removeImage(ctx context.Context, id string, names []string) error
	// unique tells how many bytes each image shares with no other, by ID.
	unique(ctx context.Context) (map[string]uint64, error)
}

// imageID is what names an image beyond doubt: Docker has the algorithm in front.
var imageID = regexp.MustCompile(`^(sha256:)?[0-9a-f]{64}$`)

// Images lists the images of all engines that the last Read asked, with the
// containers that use them, and for what they are kept. Where one engine of several
// fails, the fact has both a value and an error, as that of [Engines.Read].
func (e *Engines) Images(ctx context.Context) fleet.Fact[[]fleet.Image] {
	ctx, cancel := e.bound(ctx)
	defer cancel()
	engines, _ := e.there()
	if len(engines) == 0 {
		f := fleet.Derive(e.Fact(), func([]fleet.Container) []fleet.Image { return nil })
		f.At = time.Time{} // nobody told of images
		return f
	}
	slices.SortFunc(engines, (*engine).order)
	lists, errs := make([][]fleet.Image, len(engines)), make([]error, len(engines))
	var wg sync.WaitGroup
	for i, eng := range engines {
		wg.Go(func() { lists[i], errs[i] = eng.images(ctx) })
	}
	wg.Wait()
	return concludeImages(engines, lists, errs, time.Now())
}

// concludeImages makes the fact of what all engines told of their images.
func concludeImages(engines []*engine, lists [][]fleet.Image, errs []error, now time.Time) fleet.Fact[[]fleet.Image] {
	f := fleet.Fact[[]fleet.Image]{Value: []fleet.Image{}}
	var wrong, source []string
	for i, eng := range engines {
		if errs[i] != nil {
			wrong = append(wrong, eng.wrong(errs[i]).Error())
			continue
		}
		f.At = now
		source = append(source, eng.version())
		f.Value = append(f.Value, lists[i]...)
	}
	f.Source = strings.Join(source, ", ")
	if len(wrong) > 0 {
		f.Err, f.ErrAt = strings.Join(wrong, "; "), now
	}
	slices.SortStableFunc(f.Value, func(a, b fleet.Image) int {
		return compareAll(userOrder(a.User, b.User), strings.Compare(firstName(a), firstName(b)), b.Created.Compare(a.Created), strings.Compare(a.ID, b.ID))
	})
	return f
}

func compareAll(order ...int) int {
	for _, o := range order {
		if o != 0 {
			return o
		}
	}
	return 0
}

// firstName puts images without a name beside those that have it now.
func firstName(i fleet.Image) string {
	for _, list := range [][]string{i.Tags, i.Before} {
		if len(list) > 0 {
			return list[0]
		}
	}
	if len(i.Kept) > 0 {
		return i.Kept[0].Image
	}
	return "~"
}

// images asks one engine.
func (e *engine) images(ctx context.Context) ([]fleet.Image, error) {
	ctx, cancel := context.WithTimeout(ctx, readPatience)
	defer cancel()
	api, err := e.connect(ctx, nil)
	if err != nil {
		return nil, err
	}
	list, err := api.imageList(ctx)
	if err != nil {
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			err = errSilent
		}
		return nil, err
	}
	containers, _ := e.lastKnown()
	at := e.where()
	for i := range list {
		list[i].Engine, list[i].User = at.kind, at.user
		list[i].UsedBy = []string{}
		for _, c := range containers {
			if c.ImageID == list[i].ID {
				list[i].UsedBy = append(list[i].UsedBy, c.Name)
			}
		}
	}
	return list, nil
}

// listedImage is an image of GET /libpod/images/json, as far as it is shown.
type listedImage struct {
	ID          string `json:"Id"`
	RepoTags    []string
	RepoDigests []string
	History     []string
	Created     int64 // seconds since 1970
	Size        int64
}

func (l listedImage) image() fleet.Image {
	i := fleet.Image{
		ID: text(l.ID), Tags: []string{}, Digests: []string{}, Created: epoch(l.Created), Size: uint64(max(0, l.Size)),
	}
	for _, t := range texts(l.RepoTags) {
		if kept, ok := parseKept(t); ok {
			i.Kept = append(i.Kept, kept)
		} else if t != "<none>:<none>" {
			i.Tags = append(i.Tags, t)
		}
	}
	i.Digests = append(i.Digests, repoDigests(l.RepoDigests)...)
	for _, b := range texts(l.History) {
		if _, kept := parseKept(b); !kept && !slices.Contains(i.Tags, b) && !strings.Contains(b, "@") && !slices.Contains(i.Before, b) {
			i.Before = append(i.Before, b)
		}
	}
	slices.SortFunc(i.Kept, func(a, b fleet.Kept) int { return b.At.Compare(a.At) })
	return i
}

func (p *podmanAPI) imageList(ctx context.Context) ([]fleet.Image, error) {
	b, err := p.get(ctx, "/images/json", nil)
	if err != nil {
		return nil, err
	}
	return parseImageList(b)
}

// parseImageList reads the answer of GET /libpod/images/json.
func parseImageList(b []byte) ([]fleet.Image, error) {
	var in []listedImage
	if err := json.Unmarshal(b, &in); err != nil {
		return nil, fmt.Errorf("this is no list of images: %w", jsonError(err))
	}
	out := make([]fleet.Image, 0, len(in))
	for _, l := range in {
		out = append(out, l.image())
	}
	return out, nil
}

func (d *dockerAPI) imageList(ctx context.Context) ([]fleet.Image, error) {
	if err := d.agree(ctx); err != nil {
		return nil, err
	}
	in, err := d.cli.ImageList(ctx, image.ListOptions{})
	if err != nil {
		return nil, err
	}
	out := make([]fleet.Image, 0, len(in))
	for _, s := range in {
		i := listedImage{ID: s.ID, RepoTags: s.RepoTags, RepoDigests: s.RepoDigests, Created: s.Created, Size: s.Size}.image()
		for n, t := range i.Tags {
			i.Tags[n] = InFull(t)
		}
		for n, d := range i.Digests {
			i.Digests[n] = InFull(d)
		}
		out = append(out, i)
	}
	return out, nil
}
