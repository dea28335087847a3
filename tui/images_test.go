package tui_test

import (
	"fmt"
	"testing"

	"github.com/sextant-fleet/sextant/fleet"
	"github.com/sextant-fleet/sextant/tui/tuitest"
)

// TestImagesOfAHost: registries are asked when a person says so, and one image is told
// in full.
func TestImagesOfAHost(t *testing.T) {
	for _, size := range sizes {
		t.Run(fmt.Sprintf("%dx%d", size[0], size[1]), func(t *testing.T) {
			t.Parallel()
			o := sample()
			several(&o)
			asked := make(chan bool, 10)
			o.Console.(*tuitest.Console).AllImages = func(newer bool) fleet.Fact[[]fleet.NamedImage] {
				asked <- newer
				return tuitest.Images(newer)
			}
			term := open(t, o, size[0], size[1])
			term.WaitFor("storage").Press("G", "I").WaitFor("read 4m ago")
			term.Golden(fmt.Sprintf("images-%dx%d", size[0], size[1]), *update)
			term.Press("n").WaitFor("1 newer")
			term.Golden(fmt.Sprintf("images-newer-%dx%d", size[0], size[1]), *update)
			term.Press("g", "enter").WaitFor("in fleet")
			term.Golden(fmt.Sprintf("image-%dx%d", size[0], size[1]), *update)
			term.Press("esc").WaitFor("6 images").Press("/", "private").WaitFor("1 of 6")
			if first, second := <-asked, <-asked; first || !second || len(asked) > 0 {
				t.Errorf("the registries were asked: %v, then %v, and %d times more", first, second, len(asked))
			}
		})
	}
}
