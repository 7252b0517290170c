package pieces

import (
	"os"
	"os/exec"
	"testing"
)

// TestPiecesCanBeInterrupted runs TestInterrupted where goroutines stop only where functions begin, on one processor.
func TestPiecesCanBeInterrupted(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes a gigabyte")
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestInterrupted$", "-test.count=1")
	cmd.Env = append(os.Environ(), "GODEBUG=asyncpreemptoff=1", "GOMAXPROCS=1", interrupted+"=1")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

const interrupted = "TANDEM_INTERRUPTED"

// TestInterrupted does with much memory what this package does, while another goroutine waits for the processor, which it gets only
// when the first is interrupted.
func TestInterrupted(t *testing.T) {
	if os.Getenv(interrupted) == "" {
		t.Skip("it is what TestPiecesCanBeInterrupted starts")
	}
	const much = 512 << 20 // takes many times the 10 ms after which Go wants the processor for others
	a, b := make([]byte, much), make([]byte, much)
	for name, do := range map[string]func(){
		"copy":   func() { Copy(a, b) },
		"append": func() { Append(a[:0], b) },
		"equal":  func() { Equal(a, b) },
		"find":   func() { IndexByte(a, 1) },
		"hash":   func() { SHA256(a) },
	} {
		others := false
		for range 20 { // the one who looks at how long goroutines run may be late itself
			ran, done := false, make(chan struct{})
			go func() { ran = true; close(done) }()
			do()
			others = ran // on one processor nobody else runs now
			<-done
			if others {
				break
			}
		}
		if !others {
			t.Errorf("%s: no other goroutine had the processor meanwhile", name)
		}
	}
}
