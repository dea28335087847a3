package pty

import (
	"bufio"
	"fmt"
	"runtime"
	"sync"
	"testing"
)

// grow makes the stack large, so that the collector shrinks, and moves, it.
func grow(n int) int {
	var room [1024]byte
	room[n] = 1
	if n == 0 {
		return int(room[0])
	}
	return grow(n-1) + int(room[1])
}

// TestEndsBelongTogether opens many at once, on stacks that are moved.
func TestEndsBelongTogether(t *testing.T) {
	over := make(chan struct{})
	var collector, wg sync.WaitGroup
	collector.Go(func() {
		for {
			select {
			case <-over:
				return
			default:
				runtime.GC()
			}
		}
	})
	for i := range 8 {
		wg.Go(func() {
			for round := range 300 {
				grow(60)
				person, program, err := Open(80, 24)
				if err != nil {
					t.Error(err)
					return
				}
				text := fmt.Sprintf("%d of %d", round, i)
				fmt.Fprintln(program, text)
				if got, err := bufio.NewReader(person).ReadString('\n'); got != text+"\r\n" {
					t.Errorf("%q came as %q, %v", text, got, err)
				}
				program.Close()
				person.Close()
			}
		})
	}
	wg.Wait()
	close(over)
	collector.Wait()
}
