package e2e

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tandem-serve/tandem/internal/rig"
)

// Types and flags of HTTP/2 frames, and its settings.
const (
	frameData, frameHeaders, frameSettings, framePing, frameContinuation = 0, 1, 4, 6, 9

	endHeaders = 4

	settingWindow, settingFrame = 4, 5

	frameHead = 9
)

// frame returns a frame of HTTP/2.
func frame(kind, flags byte, stream uint32, payload []byte) []byte {
	head := binary.BigEndian.AppendUint32(nil, uint32(len(payload))<<8|uint32(kind))
	head = append(head, flags)
	return append(binary.BigEndian.AppendUint32(head, stream), payload...)
}

// block is the header block of a call without a key, with fields more that are long.
func block(long int) []byte {
	b := []byte{0x83, 0x86} // POST, http
	b = append(b, literal(0x01, "x")...)
	b = append(b, literal(0x04, "/tandem.v1.InferenceService/Infer")...)
	b = append(append(b, 0x0f, 0x10), literal(0, "application/json")[1:]...) // the content's type
	for range long {
		b = append(b, 0x00)
		b = append(b, literal(0, "x-long")[1:]...)
		b = append(b, literal(0, strings.Repeat("x", 100))[1:]...)
	}
	return b
}

// literal is a header field whose name has an index, and whose value is not indexed.
func literal(index byte, value string) []byte {
	return append([]byte{index, byte(len(value))}, value...)
}

// hello is what a client of HTTP/2 says first. Answers have no window.
func hello() []byte {
	setting := binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint16(nil, settingWindow), 0)
	return append([]byte("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), frame(frameSettings, 0, 0, setting)...)
}

// frameSize reads the server's settings and returns the size of the largest frame that it takes.
func frameSize(conn net.Conn) (int, error) {
	head := make([]byte, frameHead)
	if _, err := io.ReadFull(conn, head); err != nil {
		return 0, err
	}
	settings := make([]byte, binary.BigEndian.Uint32(head)>>8)
	if _, err := io.ReadFull(conn, settings); err != nil {
		return 0, err
	}
	for ; len(settings) >= 6; settings = settings[6:] {
		if binary.BigEndian.Uint16(settings) == settingFrame {
			return int(binary.BigEndian.Uint32(settings[2:])), nil
		}
	}
	return 16 << 10, nil
}

// forever writes the same again and again, until the connection is closed.
func forever(conn net.Conn, data []byte) error {
	for {
		if _, err := conn.Write(data); err != nil {
			return err
		}
	}
}

// badHTTP2 is a client of HTTP/2 that has no key and holds what it can.
type badHTTP2 struct {
	clients int
	// say returns when the server has closed the connection, or it has nothing more to say.
	say func(net.Conn) error
}

// badHTTP2s returns clients that hold on, many of each, and such that flood, which cost the processor too: fewer.
func badHTTP2s() map[string]badHTTP2 {
	const many, few = 1000, 100
	return map[string]badHTTP2{
		"a frame that lacks a byte": {many, func(conn net.Conn) error {
			size, err := frameSize(conn)
			if err != nil {
				return err
			}
			data := frame(frameData, 0, 1, make([]byte, size))
			_, err = conn.Write(append(frame(frameHeaders, endHeaders, 1, block(0)), data[:len(data)-1]...))
			return err
		}},
		"a head without end": {many, func(conn net.Conn) error {
			if _, err := conn.Write(frame(frameHeaders, 0, 1, block(0))); err != nil {
				return err
			}
			return forever(conn, frame(frameContinuation, 0, 1, block(40)[len(block(0)):]))
		}},
		"streams without data, whose answers are not taken": {many, func(conn net.Conn) error {
			for i := range uint32(250) {
				if _, err := conn.Write(frame(frameHeaders, endHeaders, 2*i+1, block(100))); err != nil {
					return err
				}
			}
			return nil
		}},
		"pings": {few, func(conn net.Conn) error {
			return forever(conn, bytes.Repeat(frame(framePing, 0, 0, make([]byte, 8)), 1000))
		}},
		"settings": {few, func(conn net.Conn) error {
			return forever(conn, bytes.Repeat(frame(frameSettings, 0, 0, nil), 1000))
		}},
	}
}

// TestHTTP2WithoutAKeyHoldsLittle has clients of HTTP/2 that show no key hold what they can. The server's memory is bounded, others
// are served, and all are cut off.
func TestHTTP2WithoutAKeyHoldsLittle(t *testing.T) {
	for name, bad := range badHTTP2s() {
		t.Run(name, func(t *testing.T) {
			n := allowConnections(t, bad.clients)
			s := start(t, rig.Options{})
			v := newVictim(t, s)
			v.load(t, time.Second)
			before := residentMiB(t, s.PID())
			begin := time.Now()
			var clients sync.WaitGroup
			for range n {
				conn := dial(t, s, string(hello()))
				clients.Go(func() {
					_ = bad.say(conn)                // until the server has had enough
					_, _ = io.Copy(io.Discard, conn) // it may say why
				})
			}
			l := v.load(t, 3*time.Second)
			if len(l.failed) > 0 {
				t.Errorf("%d of %d calls failed: %v", len(l.failed), l.calls, errors.Join(l.failed...))
			}
			grown := residentMiB(t, s.PID()) - before
			if most := n/2 + 64; grown > most { // half a MiB each, and what the victim's calls take
				t.Errorf("the server has grown by %d MiB, want %d at most", grown, most)
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			if !ended(ctx, &clients) {
				t.Error("clients that show no key are still connected")
			}
			t.Logf("%d MiB more for %d connections; the last was cut off after %v; the victim's p99 is %v", grown, n, time.Since(begin).Round(time.Millisecond), l.at(99))
		})
	}
}

// ended waits for all of a group, as long as ctx lasts.
func ended(ctx context.Context, all *sync.WaitGroup) bool {
	done := make(chan struct{})
	go func() { all.Wait(); close(done) }()
	select {
	case <-done:
		return true
	case <-ctx.Done():
		return false
	}
}

// TestConnectionsWithoutAKeyMakeRoom opens more of them than there may be: the oldest are closed, and who has a key is served on
// connections old and new.
func TestConnectionsWithoutAKeyMakeRoom(t *testing.T) {
	const most = 50
	s := start(t, rig.Options{Args: []string{"--max-unauthenticated", "50"}})
	v := newVictim(t, s)
	var oldest sync.WaitGroup
	for i := range 4 * most {
		conn := dial(t, s, "")
		if i < 3*most {
			oldest.Go(func() { _, _ = io.Copy(io.Discard, conn) })
		}
		if i%most == 0 {
			if err := v.call(t.Context()); err != nil {
				t.Errorf("with %d connections: %v", i, err)
			}
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 7*time.Second) // less than any of them has on its own
	defer cancel()
	if !ended(ctx, &oldest) {
		t.Error("connections without a key are open beyond what there may be")
	}
	newTenant(t, s, "new") // which connects anew
	if open := metric(t, s, "tandem_unauthenticated_connections"); open > most {
		t.Errorf("%d connections are counted, want %d at most", open, most)
	}
}
