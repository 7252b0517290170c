package worker

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// kind says what a frame is about.
type kind uint32

// Frames from the host.
const (
	kindHello    kind = iota + 1 // hello, with the shared memory
	kindLoad                     // a: the model's number; loadRequest, with the file
	kindStopLoad                 // a: the model's number
	kindUnload                   // a: the model's number
	kindOpen                     // a: the slot that will be used
	kindCancel                   // a: slot, b: the call that is to end
	kindPing
)

// Frames from the worker, and kindRing from both.
const (
	kindReady    kind = iota + 100 // ready
	kindLoaded                     // a: the model's number; loadReply
	kindUnloaded                   // a: the model's number
	kindPong                       // pong
	kindRing                       // a: the slot whose word changed, where there is no futex
)

// frame is one message on the socket between host and worker.
type frame struct {
	kind kind
	a, b uint32
	body []byte   // JSON
	file *os.File // nil for most; the receiver closes it
}

const (
	headBytes = 20
	maxBody   = 64 << 20
	hasFile   = 1
	// sendTimeout is how long the other side may not read.
	sendTimeout = 10 * time.Second
)

// link sends and receives frames. send may be called from many goroutines, receive from one.
type link struct {
	conn   *net.UnixConn
	refuse bool   // files that come are closed
	in     []byte // received and not yet parsed
	fds    []int  // received and not yet handed out

	mu sync.Mutex // mu keeps frames whole
}

// pair returns this side's link and the other side's socket.
func pair() (*link, *os.File, error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("make a socket pair: %w", err)
	}
	unix.CloseOnExec(fds[0])
	unix.CloseOnExec(fds[1])
	l, err := newLink(os.NewFile(uintptr(fds[0]), "worker's socket"))
	other := os.NewFile(uintptr(fds[1]), "host's socket")
	if err != nil {
		return nil, nil, closeWith(other, err)
	}
	return l, other, nil
}

// newLink returns a link over a socket, which it takes over.
func newLink(socket *os.File) (*link, error) {
	conn, err := net.FileConn(socket)
	if err := errors.Join(err, socket.Close()); err != nil {
		return nil, fmt.Errorf("use a socket: %w", err)
	}
	u, ok := conn.(*net.UnixConn)
	if !ok {
		return nil, errors.Join(fmt.Errorf("the socket is a %T", conn), conn.Close())
	}
	return &link{conn: u}, nil
}

// send sends a frame whose body is v as JSON; v may be nil. A file goes along, and stays the caller's.
func (l *link) send(f frame, v any) error {
	if v != nil {
		var err error
		if f.body, err = json.Marshal(v); err != nil {
			return fmt.Errorf("encode frame %d: %w", f.kind, err)
		}
	}
	le := binary.LittleEndian
	out := make([]byte, headBytes, headBytes+len(f.body))
	le.PutUint32(out, uint32(f.kind))
	le.PutUint32(out[4:], f.a)
	le.PutUint32(out[8:], f.b)
	le.PutUint32(out[12:], uint32(len(f.body)))
	var rights []byte
	if f.file != nil {
		le.PutUint32(out[16:], hasFile)
		rights = unix.UnixRights(int(f.file.Fd()))
	}
	out = append(out, f.body...)
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.conn.SetWriteDeadline(time.Now().Add(sendTimeout)); err != nil {
		return err
	}
	n, _, err := l.conn.WriteMsgUnix(out, rights, nil)
	if err == nil && n < len(out) {
		_, err = l.conn.Write(out[n:])
	}
	return err
}

// receive waits for the next frame.
func (l *link) receive() (frame, error) {
	le := binary.LittleEndian
	if err := l.fill(headBytes); err != nil {
		return frame{}, err
	}
	f := frame{kind: kind(le.Uint32(l.in)), a: le.Uint32(l.in[4:]), b: le.Uint32(l.in[8:])}
	size, flags := int(le.Uint32(l.in[12:])), le.Uint32(l.in[16:])
	if size > maxBody {
		return frame{}, fmt.Errorf("a frame of %d bytes", size)
	}
	if err := l.fill(headBytes + size); err != nil {
		return frame{}, err
	}
	f.body = append([]byte(nil), l.in[headBytes:headBytes+size]...)
	l.in = l.in[:copy(l.in, l.in[headBytes+size:])]
	if flags&hasFile != 0 {
		if len(l.fds) == 0 {
			return frame{}, errors.New("a frame whose file did not come along")
		}
		f.file = os.NewFile(uintptr(l.fds[0]), "received")
		l.fds = l.fds[1:]
	}
	return f, nil
}

// fill reads until n bytes are there.
func (l *link) fill(n int) error {
	buf := make([]byte, 16<<10)
	oob := make([]byte, unix.CmsgSpace(16*4))
	for len(l.in) < n {
		got, oobn, flags, _, err := l.conn.ReadMsgUnix(buf, oob)
		if oobn > 0 {
			l.takeFiles(oob[:oobn])
		}
		if err != nil {
			return err
		}
		if flags&unix.MSG_CTRUNC != 0 {
			return errors.New("more files came than can be taken")
		}
		l.in = append(l.in, buf[:got]...)
	}
	return nil
}

func (l *link) takeFiles(oob []byte) {
	messages, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return
	}
	for i := range messages {
		fds, err := unix.ParseUnixRights(&messages[i])
		if err != nil {
			continue
		}
		for _, fd := range fds {
			if l.refuse {
				_ = unix.Close(fd) // nobody has seen it
				continue
			}
			unix.CloseOnExec(fd)
			l.fds = append(l.fds, fd)
		}
	}
}

// close ends both directions; a receive that waits returns.
func (l *link) close() error {
	for _, fd := range l.fds {
		_ = unix.Close(fd) // nobody has seen it
	}
	return l.conn.Close()
}
