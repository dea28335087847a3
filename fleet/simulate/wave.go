package simulate

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"math"
	"strings"
	"time"
)

// dice gives the same number for the same words each time.
func dice(seed uint64, words ...string) uint64 {
	h := sha256.New()
	_ = binary.Write(h, binary.LittleEndian, seed)
	h.Write([]byte(strings.Join(words, "\x00")))
	return binary.LittleEndian.Uint64(h.Sum(nil))
}

// share gives a number from 0 to 1 for the same words each time.
func share(seed uint64, words ...string) float64 {
	return float64(dice(seed, words...)>>11) / (1 << 53)
}

// hexID gives n hex digits for the same words each time, 64 at most.
func hexID(seed uint64, n int, words ...string) string {
	var b [8]byte
	binary.LittleEndian.PutUint64(b[:], dice(seed, words...))
	sum := sha256.Sum256(b[:])
	return hex.EncodeToString(sum[:])[:n]
}

// wave is a value that moves slowly and never jumps: a base and four sines
// whose periods have no common measure. Its integral is known, so that a
// counter and a rate made of the same wave agree.
type wave struct {
	base, swing float64
	phase       [4]float64
}

// periods of the sines, in seconds; the last is a day.
var periods = [4]float64{47, 193, 1021, 86400}

// weights of the sines; their sum is one.
var weights = [4]float64{0.2, 0.25, 0.25, 0.3}

func newWave(base, swing float64, seed uint64, words ...string) wave {
	w := wave{base: base, swing: min(swing, base)}
	for i := range w.phase {
		w.phase[i] = 2 * math.Pi * share(seed, append(words, string(rune('a'+i)))...)
	}
	return w
}

// at is the wave's value.
func (w wave) at(t time.Time) float64 {
	v, s := w.base, seconds(t)
	for i, p := range periods {
		v += w.swing * weights[i] * math.Sin(2*math.Pi*s/p+w.phase[i])
	}
	return v
}

// sum is the integral of the wave, by seconds, between two times.
func (w wave) sum(from, to time.Time) float64 {
	a, b := seconds(from), seconds(to)
	v := w.base * to.Sub(from).Seconds()
	for i, p := range periods {
		k := 2 * math.Pi / p
		v -= w.swing * weights[i] / k * (math.Cos(k*b+w.phase[i]) - math.Cos(k*a+w.phase[i]))
	}
	return v
}

func seconds(t time.Time) float64 { return float64(t.UnixNano()%(1e9*1e7)) / 1e9 }
