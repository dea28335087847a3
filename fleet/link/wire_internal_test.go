package link

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"
)

// OpenAtTheEnd opens channels over a link's connection while it ends, as one does who
// has not yet heard of that, and fails where nobody answers.
func OpenAtTheEnd(t *testing.T, l Link) {
	t.Helper()
	c, err := l.(*sshLink).connected(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	start := make(chan struct{})
	for i := range 20 {
		all.Go(func() {
			<-start
			time.Sleep(time.Duration(i*10) * time.Microsecond)
			conn, err := c.client.Dial("tcp", "127.0.0.1:1")
			if err == nil {
				conn.Close()
			}
		})
	}
	all.Go(func() {
		<-start
		time.Sleep(100 * time.Microsecond)
		c.close(errors.New("the test ends it"))
	})
	close(start)
	done := make(chan struct{})
	go func() { all.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(10 * time.Second):
		t.Fatal("an opening is waited for without an end")
	}
}
