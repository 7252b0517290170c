package usage

import (
	"cmp"
	"context"
	"errors"
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
	filter := "usage." + string(t) + ".>"
	stream, err := l.js.Stream(ctx, streamName)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	info, err := stream.Info(ctx, jetstream.WithSubjectFilter(filter))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	hours, err := l.read(ctx, filter, from)
	if err != nil {
		return nil, err
	}
	// What is written again while it is read may be passed over.
	for subject := range info.State.Subjects {
		if _, ok := hours[subject]; ok || !within(subject, from, to) {
			continue
		}
		m, err := stream.GetLastMsgForSubject(ctx, subject)
		switch {
		case errors.Is(err, jetstream.ErrMsgNotFound): // the tenant was deleted meanwhile
		case err != nil:
			return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
		default:
			hours[subject] = m.Data
		}
	}
	return minutes(hours, from, to)
}

// read returns what was written from a time on, by subject. What is written meanwhile comes twice, and the later one holds, or not
// at all.
func (l *Ledger) read(ctx context.Context, filter string, from time.Time) (map[string][]byte, error) {
	hours := make(map[string][]byte)
	// An hour is written for the last time when something happened in it, so what lies in the range was written after from.
	consumer, err := l.js.OrderedConsumer(ctx, streamName, jetstream.OrderedConsumerConfig{
		FilterSubjects: []string{filter}, DeliverPolicy: jetstream.DeliverByStartTimePolicy, OptStartTime: &from,
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
			hours[m.Subject()] = m.Data()
		}
		if err := batch.Error(); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
		}
		if n == 0 {
			return hours, nil
		}
	}
}

// hourOf returns the Unix time in hours that a subject is for, -1 when it is for none.
func hourOf(subject string) int64 {
	at, err := strconv.ParseInt(subject[strings.LastIndexByte(subject, '.')+1:], 10, 64)
	if err != nil {
		return -1
	}
	return at
}

// within reports whether minutes of the subject's hour may lie in the range.
func within(subject string, from, to time.Time) bool {
	at := hourOf(subject)
	return at*3600 < to.Unix() && (at+1)*3600 > from.Unix()
}

// minutes adds up the minutes in the range of the hours of one tenant, which may be of several servers.
func minutes(hours map[string][]byte, from, to time.Time) ([]Minute, error) {
	sums := make(map[int64]Sum) // by Unix time of the minute
	for subject, data := range hours {
		h, err := decodeHour(data)
		if err != nil {
			return nil, err
		}
		for minute, s := range h.Minutes {
			start := hourOf(subject)*3600 + int64(minute)*60
			if start < from.Unix() || start >= to.Unix() {
				continue
			}
			sum := sums[start]
			sum.Add(s)
			sums[start] = sum
		}
	}
	return sorted(sums), nil
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
