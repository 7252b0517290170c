package usage

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/tandem-serve/tandem/host/tenant"
)

// fetch is how many messages are read at once.
const fetch = 500

// Query returns what a tenant used in the minutes from from, included, to to, not included, oldest first, without the minutes
// in which it used nothing. What was added since the last write is not in it. Errors: tenant.ErrName, [ErrUnavailable].
func (l *Ledger) Query(ctx context.Context, t tenant.ID, from, to time.Time) ([]Minute, error) {
	if err := tenant.CheckID(t); err != nil {
		return nil, err
	}
	sums := make(map[int64]Sum) // by Unix time of the minute
	// An hour is written for the last time when something happened in it, so what lies in the range was written after from.
	consumer, err := l.js.OrderedConsumer(ctx, streamName, jetstream.OrderedConsumerConfig{
		FilterSubjects: []string{"usage." + string(t) + ".>"},
		DeliverPolicy:  jetstream.DeliverByStartTimePolicy, OptStartTime: &from,
	})
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	for {
		batch, err := consumer.FetchNoWait(fetch)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
		}
		n := 0
		for m := range batch.Messages() {
			n++
			if err := add(sums, m, from, to); err != nil {
				return nil, err
			}
		}
		if err := batch.Error(); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
		}
		if n == 0 {
			return sorted(sums), nil
		}
	}
}

// add adds the minutes of a message that are in the range.
func add(sums map[int64]Sum, m jetstream.Msg, from, to time.Time) error {
	subject := m.Subject()
	at, err := strconv.ParseInt(subject[strings.LastIndexByte(subject, '.')+1:], 10, 64)
	if err != nil {
		return fmt.Errorf("usage subject %s: %w", subject, err)
	}
	h, err := decodeHour(m.Data())
	if err != nil {
		return err
	}
	for minute, s := range h.Minutes {
		start := at*3600 + int64(minute)*60
		if start < from.Unix() || start >= to.Unix() {
			continue
		}
		sum := sums[start]
		sum.Add(s)
		sums[start] = sum
	}
	return nil
}

func sorted(sums map[int64]Sum) []Minute {
	out := make([]Minute, 0, len(sums))
	for at, s := range sums {
		out = append(out, Minute{Start: time.Unix(at, 0).UTC(), Sum: s})
	}
	slices.SortFunc(out, func(a, b Minute) int { return cmp.Compare(a.Start.Unix(), b.Start.Unix()) })
	return out
}

// Total adds up minutes.
func Total(ms []Minute) Sum {
	var s Sum
	for i := range ms {
		s.Add(ms[i].Sum)
	}
	return s
}

// ByStep adds up minutes in steps of a whole number of minutes, counted from the Unix epoch.
func ByStep(ms []Minute, step time.Duration) []Minute {
	step = max(step.Truncate(time.Minute), time.Minute)
	var out []Minute
	for i := range ms {
		start := time.Unix(0, ms[i].Start.UnixNano()/int64(step)*int64(step)).UTC()
		if n := len(out); n == 0 || !out[n-1].Start.Equal(start) {
			out = append(out, Minute{Start: start})
		}
		out[len(out)-1].Add(ms[i].Sum)
	}
	return out
}
