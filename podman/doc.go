// Package podman reads the containers of a host, over the link to it: those
// of Podman, root's and every user's, and those of Docker where a host runs
// that. It joins them with the systemd units that own them, the system's and
// the users', so that a container that crashed and took itself away (--rm) is
// still seen. It keeps what it read live by the engines' events, and starts,
// stops and removes containers where it is told to.
//
// # Podman's bindings
//
// Podman is asked through its own bindings: their connection, their versioned
// paths, their error model. Only their core package is used, on a connection
// made by hand whose HTTP client dials through the link: no socket file on
// this machine, no SSH of the bindings' own, which would accept any host key.
// The per-resource packages of the bindings (bindings/containers and the like)
// are not: they bring 15 MB of Podman's server side into the program, they
// cannot tell "0 restarts" from "this server does not count them", and their
// streams (Stats, Events, Logs) leave a goroutine behind for a reader that
// goes away and read without a limit. Docker is asked with Docker's client.
//
// # What it may not do
//
// Reading changes nothing on a host: of a Podman that has to be started for us,
// because its user has no podman.socket, nothing is left behind. Only
// [Engines.Act] changes something, to the one container it names, and nothing
// asks for that but a person's action. Every text it hands out went through
// [fleet.Clean]; every request has a deadline and every answer a limit,
// because what listens on a host's socket need not be what it says. What looks
// secret in what a container is told of ([Engines.Inspect], [Engines.Top], the
// command in the list) is hidden before it is handed out; only a person's wish
// to see it brings it along, and not in the list, which is kept.
package podman
