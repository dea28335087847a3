package discover

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"testing"
	"time"
)

func TestScratch(t *testing.T) {
	if os.Getenv("SCRATCH") == "" {
		t.Skip()
	}
	ctx, cancel := context.WithTimeout(context.Background(), 4*time.Second)
	defer cancel()
	began := time.Now()
	Discover(ctx, Options{SSHConfig: "/var/tmp/sextant-lab/operator/home/.ssh/config"}, func(f Found) {
		fmt.Println("-----", time.Since(began), f.Settled)
		for _, h := range f.Hosts {
			b, _ := json.Marshal(h)
			fmt.Println(string(b))
		}
		for _, o := range f.Others {
			fmt.Println(o)
		}
		for _, s := range f.Sources {
			fmt.Println(s)
		}
	})
}
