package link

import (
	"bufio"
	"bytes"
	"errors"
	"io"
)

// Turns cuts the output of a command that tells the same again and again into its
// turns, each of which ends with a line of its own. A turn of more than limit bytes is
// an error.
func Turns(r io.Reader, end string, limit int, f func([]byte)) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 0, 64<<10), 1<<20)
	var turn bytes.Buffer
	for lines.Scan() {
		if lines.Text() == end {
			f(turn.Bytes())
			turn.Reset()
			continue
		}
		if turn.Len()+len(lines.Bytes()) > limit {
			return errors.New("the host tells too much at once")
		}
		turn.Write(lines.Bytes())
		turn.WriteByte('\n')
	}
	return lines.Err()
}
