package worker

import (
	"errors"
	"fmt"
	"math"
	"unsafe"

	"github.com/tandem-serve/tandem/runners"
)

// The message of a run lies in a block of shared memory, in 64-bit words of the machine: the host writes the request there, the
// worker its reply over it.
//
//	request: op, model, inputs, outputs, then for each of them: dtype | how<<8 | rank<<32, offset, bytes, dimensions
//	reply:   status | varies<<8 | kind<<16, outputs or bytes of text, then for each output: dtype | placed<<8 | rank<<32, bytes,
//	         dimensions; or the text
const (
	opRun     = 1
	opCollect = 2 // copy outputs that are held to where the outputs' offsets say
	opDrop    = 3 // let go of them
)

// How an output is wanted.
const (
	howAdopt  = 0 // copied to its offset when it fits the bytes there, else held
	howBound  = 1 // written in place; another shape is the request's fault
	howGuess  = 2 // written in place; another shape means that the guess was wrong, and it is held
	statusOK  = 1
	statusBad = 2
)

const (
	headWords = 4
	partWords = 3
	maxRank   = 64
	maxReason = 4 << 10 // bytes of an error's text
)

// part is one input or output in a message.
type part struct {
	dtype  runners.DType
	how    uint8 // of a reply: 1 when it lies where the request said
	shape  []int64
	offset int64
	size   int64
}

// roomFor returns the words that the request, and the reply to it, may need.
func roomFor(in, out []runners.Tensor) int {
	request := headWords
	for _, t := range in {
		request += partWords + len(t.Shape)
	}
	request += len(out) * (partWords + maxRank)
	return request + maxReason/8
}

// writer writes words into a message; what does not fit is left out and noted.
type writer struct {
	words []uint64
	n     int
}

func (w *writer) put(v uint64) {
	if w.n < len(w.words) {
		w.words[w.n] = v
	}
	w.n++
}

func (w *writer) putPart(p *part) {
	w.put(uint64(p.dtype) | uint64(p.how)<<8 | uint64(len(p.shape))<<32)
	w.put(uint64(p.offset))
	w.put(uint64(p.size))
	for _, d := range p.shape {
		w.put(uint64(d))
	}
}

var errMessage = errors.New("the worker's message makes no sense")

// reader reads words; beyond the end it reads zeros and notes it.
type reader struct {
	words []uint64
	n     int
	short bool
}

func (r *reader) get() uint64 {
	if r.n >= len(r.words) {
		r.short = true
		return 0
	}
	v := r.words[r.n]
	r.n++
	return v
}

// part reads one into p, whose shape's memory it uses again.
func (r *reader) part(p *part) {
	head := r.get()
	p.dtype, p.how = runners.DType(head), uint8(head>>8)
	p.offset, p.size = int64(r.get()), int64(r.get())
	rank := head >> 32
	if rank > maxRank || int(rank) > len(r.words)-r.n {
		r.short = true
		rank = 0
	}
	p.shape = p.shape[:0]
	for range rank {
		p.shape = append(p.shape, int64(r.get()))
	}
	if p.shape == nil {
		p.shape = []int64{}
	}
}

// reply is what a worker answered to a run.
type reply struct {
	varies bool // an output had not the shape that was guessed
	parts  []part
	err    error
}

// writeReply writes the answer to a run that went well.
func writeReply(words []uint64, parts []part, varies bool) {
	w := writer{words: words}
	status := uint64(statusOK)
	if varies {
		status |= 1 << 8
	}
	w.put(status)
	w.put(uint64(len(parts)))
	for i := range parts {
		w.putPart(&parts[i])
	}
	if w.n > len(words) {
		writeFault(words, fmt.Errorf("%w: an output has more than %d dimensions", runners.ErrRun, maxRank))
	}
}

// writeFault writes why a run failed.
func writeFault(words []uint64, err error) {
	w := writer{words: words}
	text := err.Error()
	text = text[:min(len(text), maxReason)]
	w.put(statusBad | uint64(kindOf(err))<<16)
	w.put(uint64(len(text)))
	copy(bytesOf(words[min(w.n, len(words)):]), text)
}

// readReply reads an answer to a run of as many outputs as there are. The words are the worker's: anything may stand in them,
// but they do not change any more.
func readReply(words []uint64, outputs int, into *reply) error {
	r := reader{words: words}
	status, n := r.get(), r.get()
	*into = reply{parts: into.parts, varies: status>>8&1 != 0}
	switch {
	case status&0xff == statusBad && n <= maxReason && int(n) <= 8*(len(words)-r.n):
		into.err = faultOf(faultKind(status>>16&0xff), string(bytesOf(words[r.n:])[:n]))
		return nil
	case status&0xff != statusOK || n != uint64(outputs):
		return errMessage
	}
	for len(into.parts) < outputs {
		into.parts = append(into.parts, part{})
	}
	into.parts = into.parts[:outputs]
	for i := range into.parts {
		p := &into.parts[i]
		r.part(p)
		elements, ok := runners.Elements(p.shape)
		size := int64(p.dtype.Size())
		switch {
		case !ok || r.short || !p.dtype.Valid() || p.size < 0:
			return errMessage
		case p.dtype == runners.BYTES:
			// Its offsets are checked when it has been copied out.
		case elements > math.MaxInt64/size || elements*size != p.size:
			return errMessage
		}
	}
	return nil
}

func bytesOf(words []uint64) []byte {
	if len(words) == 0 {
		return nil
	}
	return unsafe.Slice((*byte)(unsafe.Pointer(&words[0])), 8*len(words))
}

func wordsOf(b []byte) []uint64 {
	if len(b) < 8 {
		return nil
	}
	return unsafe.Slice((*uint64)(unsafe.Pointer(&b[0])), len(b)/8)
}
