package wasmbin

import (
	"errors"
	"fmt"
)

// maxReasons bounds how many reasons one refusal lists.
const maxReasons = 100

// report collects reasons to refuse a module.
type report struct {
	errs []error
	more int // reasons that were not kept
}

func (p *report) add(e *Error) {
	if len(p.errs) >= maxReasons {
		p.more++
		return
	}
	p.errs = append(p.errs, e)
}

func (p *report) addf(code Code, offset int, format string, args ...any) {
	if len(p.errs) >= maxReasons {
		p.more++
		return
	}
	p.add(&Error{Code: code, Offset: offset, Func: -1, Text: fmt.Sprintf(format, args...)})
}

// limit reports that a count is above its limit, and tells whether it is not.
func (p *report) limit(offset, got, most int, what string) bool {
	if got > most {
		p.addf(CodeLimit, offset, "%s: %d, at most %d are admitted", what, got, most)
		return false
	}
	return true
}

func (p *report) err() error {
	switch {
	case len(p.errs) == 0:
		return nil
	case p.more > 0:
		last := &Error{Code: CodeLimit, Offset: -1, Func: -1, Text: fmt.Sprintf("%d more reasons", p.more)}
		return errors.Join(append(p.errs, last)...)
	case len(p.errs) == 1:
		return p.errs[0]
	default:
		return errors.Join(p.errs...)
	}
}
