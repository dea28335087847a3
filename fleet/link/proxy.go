package link

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/sextant-fleet/sextant/fleet"
)

// proxy is the person's own way to a host: a ProxyCommand of ssh_config, and
// what it is told. The host's answers come on the command's output.
type proxy struct {
	command string // "": none
	name    string // %n, under which ssh_config knows the host
	host    string // %h, its HostName, or the name
	fdpass  bool
}

// proxyOf is what ssh_config says of the first of the names of which it says
// anything: command and HostName are those of one name, as with ssh.
func proxyOf(names []string, says []lookup) proxy {
	for i, say := range says {
		one := func(keyword string) string { return cmp.Or(append(slices.Clone(say(keyword)), "")...) }
		switch command := one("ProxyCommand"); {
		case command == "":
			continue
		case strings.EqualFold(command, "none"):
			return proxy{}
		default:
			host := cmp.Or(one("HostName"), names[i])
			return proxy{command, names[i], host, strings.EqualFold(one("ProxyUseFdpass"), "yes")}
		}
	}
	return proxy{}
}

// loginProxy reaches the host through the person's own command. What it says on
// its error output is part of why that failed.
func (d *Dialer) loginProxy(ctx context.Context, h fleet.Host, set settings) (*connection, error) {
	command, err := set.proxy.line(set)
	if err != nil {
		return nil, fleet.WithCure(fmt.Errorf("reaching %s: %w", h.Name, err), "mend the ProxyCommand in ~/.ssh/config, or set it to none")
	}
	cure := "try it by hand: " + command
	conn, err := d.dialProxy(h, command)
	if err != nil {
		return nil, fleet.WithCure(fmt.Errorf("reaching %s by its ProxyCommand: %w", h.Name, err), cure)
	}
	c, err := d.handshake(ctx, conn, h, set, fleet.Address{Via: fleet.ViaConfig, Host: set.proxy.host})
	if err == nil {
		return c, nil
	}
	if says := conn.says(); says != "" && !strings.Contains(err.Error(), says) {
		err = fmt.Errorf("%w; its ProxyCommand says: %s", err, says)
	}
	for _, kind := range []error{ErrHostKey, ErrUnknown, ErrRefused, ErrNobody, ErrAuth} {
		if errors.Is(err, kind) { // the way is good: the host itself is what wants mending
			return nil, err
		}
	}
	return nil, fleet.WithCure(err, cure)
}

// dialProxy starts the command as ssh does: by the person's shell, with the
// connection as its input and output. It ends with the connection.
func (d *Dialer) dialProxy(h fleet.Host, command string) (*commandConn, error) {
	life, end := context.WithCancel(context.Background())
	r, w := io.Pipe()
	shell := cmp.Or(os.Getenv("SHELL"), "/bin/sh")
	p, err := newLocal(d, h).start(life, Command{Args: []string{shell, "-c", "exec " + command}, Stdin: r})
	if err != nil {
		end()
		w.Close()
		return nil, err
	}
	return &commandConn{Process: p, in: w, cancel: end, name: "ProxyCommand"}, nil
}

// line is the command with its tokens filled in. What is filled in goes through
// a shell and was told by others, so only what a name may hold does; ssh is as
// strict.
func (p proxy) line(set settings) (string, error) {
	if p.fdpass {
		return "", errors.New("ProxyUseFdpass is not known here")
	}
	values := map[byte]string{'%': "%", 'h': p.host, 'n': p.name, 'p': strconv.Itoa(set.port), 'r': set.user}
	var b strings.Builder
	for i := 0; i < len(p.command); i++ {
		if p.command[i] != '%' {
			b.WriteByte(p.command[i])
			continue
		}
		i++
		if i == len(p.command) {
			return "", errors.New("its ProxyCommand ends with a single %")
		}
		value, known := values[p.command[i]]
		switch {
		case !known:
			return "", fmt.Errorf("its ProxyCommand has %%%c, of which nothing is known", p.command[i])
		case p.command[i] != '%' && (value == "" || strings.HasPrefix(value, "-") || strings.Trim(value, safe) != ""):
			return "", fmt.Errorf("%q cannot go into a ProxyCommand", value)
		}
		b.WriteString(value)
	}
	return b.String(), nil
}
