package record

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/tandem-serve/tandem/host/tenant"
)

const (
	defaultLimit = 100
	maxLimit     = 1000
	// maxScan is the most messages that one List reads: about half a second's worth.
	maxScan = 5000
)

// Filter says which records to list.
type Filter struct {
	// Stream, when not "", must be equal.
	Stream string
	// Graphs, when there are some, has the record's.
	Graphs []string
	// Since, when not the zero time, leaves out older records.
	Since time.Time
	// OldestFirst turns the order round; the default is newest first.
	OldestFirst bool
	// Limit is the most records to return. Default 100, at most 1000.
	Limit int
	// Token continues an earlier List with an equal filter; "" starts.
	Token string
}

func (f Filter) withDefaults() Filter {
	f.Limit = min(f.Limit, maxLimit)
	if f.Limit == 0 {
		f.Limit = defaultLimit
	}
	return f
}

func (f Filter) validate() error {
	if f.Limit < 0 {
		return fmt.Errorf("%w: limit %d", ErrInvalid, f.Limit)
	}
	if f.Stream != "" {
		if err := tenant.CheckName(f.Stream); err != nil {
			return err
		}
	}
	return nil
}

func (f Filter) matches(r Record) bool {
	return (f.Stream == "" || f.Stream == r.Stream) && (len(f.Graphs) == 0 || slices.Contains(f.Graphs, r.Graph)) && !r.At.Before(f.Since)
}

// position names a record: the sequence number of its message and its place in there.
type position struct {
	seq uint64
	idx int
}

// lastIdx is a place after all records of a message.
const lastIdx = 1<<31 - 1

// String returns the position as a record's ID: of fixed width, so that IDs sort as they were written.
func (p position) String() string { return fmt.Sprintf("%016x-%04x", p.seq, p.idx) }

func parsePosition(s string) (position, error) {
	seq, idx, ok := strings.Cut(s, "-")
	n, err1 := strconv.ParseUint(seq, 16, 64)
	i, err2 := strconv.ParseUint(idx, 16, 31)
	p := position{seq: n, idx: int(i)} // #nosec G115 -- 31 bits
	if !ok || err1 != nil || err2 != nil || p.String() != s {
		return position{}, fmt.Errorf("%w: page token", ErrInvalid)
	}
	return p, nil
}

// List returns records of one tenant and a token for more, "" when there are none. It may return fewer than Limit, even
// none, with a token: it reads a bounded number of records per call.
//
// Errors: [ErrInvalid], tenant.ErrName, [ErrUnavailable], [ErrClosed], and the context's.
func (l *Log) List(ctx context.Context, t tenant.ID, f Filter) ([]Record, string, error) {
	if err := errors.Join(tenant.CheckID(t), f.validate()); err != nil {
		return nil, "", err
	}
	s, err := l.js.Stream(ctx, streamName(t))
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return nil, "", nil // never had a record
	}
	if err != nil {
		return nil, "", storeError(err)
	}
	state := s.CachedInfo().State
	r := &reader{
		stream: s, filter: f.withDefaults(), subject: subject(t, cmp.Or(f.Stream, ">")),
		first: max(state.FirstSeq, 1), last: state.LastSeq,
	}
	if err := r.seek(ctx); err != nil {
		return nil, "", storeError(err)
	}
	more, err := r.read(ctx, l.maxScan)
	if err != nil {
		return nil, "", storeError(err)
	}
	return r.found, more, nil
}

func storeError(err error) error {
	switch {
	case errors.Is(err, context.Canceled), errors.Is(err, ErrInvalid):
		return err
	case errors.Is(err, nats.ErrConnectionClosed):
		return fmt.Errorf("list records: %w: %w", ErrClosed, err)
	}
	return fmt.Errorf("list records: %w: %w", ErrUnavailable, err)
}

// reader is one List at work.
type reader struct {
	stream  jetstream.Stream
	filter  Filter
	subject string
	// first and last bound the messages that there were when the List began.
	first, last uint64
	// at is the message to read next; after, when not nil, the record that the page before ended with.
	at    uint64
	after *position
	found []Record
}

// seek finds the message to start with.
func (r *reader) seek(ctx context.Context) error {
	switch {
	case r.filter.Token != "":
		p, err := parsePosition(r.filter.Token)
		if err != nil {
			return err
		}
		r.at, r.after = p.seq, &p
		switch {
		case r.filter.OldestFirst && p.idx == lastIdx:
			r.at++ // all of that message was seen
		case !r.filter.OldestFirst && p.idx == 0:
			r.at-- // likewise
		}
		if r.filter.OldestFirst {
			r.at = max(r.at, r.first) // what lay in between has gone for its age
		}
	case !r.filter.OldestFirst:
		r.at = r.last
	case r.filter.Since.IsZero():
		r.at = r.first
	default:
		return r.seekTime(ctx)
	}
	return nil
}

// seekTime finds by bisection the first message that was written at Since or later. Older ones only have older records,
// because a record is made before it is written.
func (r *reader) seekTime(ctx context.Context) error {
	lo, hi := r.first, r.last+1
	for lo < hi {
		mid := lo + (hi-lo)/2
		m, err := r.stream.GetMsg(ctx, mid)
		switch {
		case errors.Is(err, jetstream.ErrMsgNotFound):
			lo = mid + 1 // gone for its age meanwhile
		case err != nil:
			return err
		case m.Time.Before(r.filter.Since):
			lo = mid + 1
		default:
			hi = mid
		}
	}
	r.at = lo
	return nil
}

// read fills found from at most that many messages and returns the token for more.
func (r *reader) read(ctx context.Context, messages int) (string, error) {
	for range messages {
		if r.at < r.first || r.at > r.last {
			return "", nil
		}
		m, err := r.next(ctx)
		if err != nil {
			return "", err
		}
		if m == nil {
			continue
		}
		if !r.filter.OldestFirst && m.Time.Before(r.filter.Since) {
			return "", nil // and so are all before
		}
		full, err := r.take(m)
		if err != nil {
			return "", err
		}
		if full != nil {
			return full.String(), nil
		}
	}
	return r.token(), nil
}

// next returns the message at r.at, or nil when it is of no interest, and moves on.
func (r *reader) next(ctx context.Context) (*jetstream.RawStreamMsg, error) {
	var m *jetstream.RawStreamMsg
	var err error
	if r.filter.OldestFirst {
		// The first one of interest from there on.
		m, err = r.stream.GetMsg(ctx, r.at, jetstream.WithGetMsgSubject(r.subject))
		r.at = r.last + 1
		if err == nil {
			r.at = m.Sequence + 1
		}
	} else {
		m, err = r.stream.GetMsg(ctx, r.at)
		r.at--
	}
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return nil, nil // gone for its age meanwhile, or none of that stream
	}
	if err != nil {
		return nil, err
	}
	if m.Sequence > r.last || r.filter.Stream != "" && m.Subject != r.subject {
		return nil, nil
	}
	return m, nil
}

// take adds the records of m that match. When found is full, it returns the position of the last one in it, provided
// that there may be more.
func (r *reader) take(m *jetstream.RawStreamMsg) (*position, error) {
	var msg message
	if err := json.Unmarshal(m.Data, &msg); err != nil || msg.Format != format {
		return nil, fmt.Errorf("message %d is of no known format", m.Sequence)
	}
	n := len(msg.Records)
	for i := range n {
		if !r.filter.OldestFirst {
			i = n - 1 - i
		}
		p := position{seq: m.Sequence, idx: i}
		if r.seen(p) || !r.filter.matches(msg.Records[i]) {
			continue
		}
		rec := msg.Records[i]
		rec.ID = p.String()
		r.found = append(r.found, rec)
		if len(r.found) == r.filter.Limit {
			return &p, nil
		}
	}
	return nil, nil
}

// seen reports whether the page before had p or went past it.
func (r *reader) seen(p position) bool {
	if r.after == nil || p.seq != r.after.seq {
		return false
	}
	if r.filter.OldestFirst {
		return p.idx <= r.after.idx
	}
	return p.idx >= r.after.idx
}

// token returns the token that goes on at r.at.
func (r *reader) token() string {
	if r.at < r.first || r.at > r.last {
		return ""
	}
	if r.filter.OldestFirst {
		return position{seq: r.at - 1, idx: lastIdx}.String()
	}
	return position{seq: r.at + 1}.String()
}
