package network

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/fleet/link"
)

// ratesLoop prints the counters of the links again and again, until nobody reads it.
const ratesLoop = `# The counters of a host's links, again and again
while :; do
	cat /proc/uptime /proc/net/dev 2>/dev/null
	echo "$2" || exit
	sleep "$1" || exit
done
`

// endOfRates stands behind each turn.
const endOfRates = "-- sextant: end of counters"

// maxRates bounds what one turn may print.
const maxRates = 1 << 20

var errRatesLate = errors.New("the host does not tell its counters any more")

// Rates tells what passes through each link of a host from now on, every so often,
// until ctx ends, the connection breaks or the host has told nothing for three times
// as long, which is the error it returns. What out is
// given is not changed any more.
func Rates(ctx context.Context, l link.Link, every time.Duration, out func(map[string]fleet.LinkRate)) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	patience := 3 * max(every, time.Second)
	late := time.AfterFunc(patience, func() { cancel(errRatesLate) })
	defer late.Stop()
	seconds := strconv.Itoa(max(1, int(every.Seconds())))
	p, err := l.Start(ctx, link.Script(ratesLoop, seconds, endOfRates))
	if err != nil {
		return fmt.Errorf("the rates of %s: %w", l.Host().Name, err)
	}
	defer p.Close()
	var before map[string]passed
	var then float64
	err = link.Turns(p, endOfRates, maxRates, func(text []byte) {
		late.Reset(patience)
		now, uptime := counters(strings.Split(string(text), "\n"))
		if before != nil && uptime-then >= leastTime {
			rates := map[string]fleet.LinkRate{}
			for name := range now {
				rates[name] = rate(before, now, name, uptime-then)
			}
			out(rates)
		}
		before, then = now, uptime
	})
	if err == nil {
		err = io.ErrUnexpectedEOF
	}
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return fmt.Errorf("the rates of %s: %w", l.Host().Name, err)
}
