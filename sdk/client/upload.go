package client

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"time"

	"connectrpc.com/connect/v2"

	tandemv1 "github.com/tandem-serve/tandem/proto/gen/tandem/v1"
)

// PushOption changes how a file is pushed.
type PushOption interface{ applyPush(*pushSettings) }

type pushSettings struct {
	progress func(done, total int64)
	options  *tandemv1.ModelOptions
}

type pushFunc func(*pushSettings)

func (f pushFunc) applyPush(s *pushSettings) { f(s) }

// WithProgress calls f with the bytes that the server has and the whole size: once at the start and after every chunk, on
// the goroutine of the push.
func WithProgress(f func(done, total int64)) PushOption {
	return pushFunc(func(s *pushSettings) { s.progress = f })
}

// WithModelOptions says how a model is to be served. The same file with other options is another version. It does nothing for
// plugins. Default: as the server chooses.
func WithModelOptions(o *tandemv1.ModelOptions) PushOption {
	return pushFunc(func(s *pushSettings) { s.options = o })
}

// PushModel uploads an ONNX file of size bytes as a new version of the model name and returns it. file is read twice. A
// push that broke off goes on where it stopped when it is tried again with the same file; within one call, a chunk that
// failed because the server was away is tried again for a minute.
func (c *Client) PushModel(ctx context.Context, name string, file io.ReaderAt, size int64, opts ...PushOption) (*tandemv1.Model, error) {
	var model *tandemv1.Model
	s := settingsOf(opts)
	err := push(ctx, file, size, s, transfer{
		begin: func(ctx context.Context, digest string) (begun, error) {
			return c.Models.BeginModelUpload(ctx, &tandemv1.BeginModelUploadRequest{Name: name, SizeBytes: size, Digest: digest})
		},
		put: func(ctx context.Context, id string, off int64, data []byte, crc uint32) (committed, error) {
			return c.Models.PutModelChunk(ctx, &tandemv1.PutModelChunkRequest{UploadId: id, Offset: off, Data: data, Crc32C: crc})
		},
		finish: func(ctx context.Context, id string) error {
			res, err := c.Models.FinishModelUpload(ctx, &tandemv1.FinishModelUploadRequest{UploadId: id, Options: s.options})
			model = res.GetModel()
			return err
		},
	})
	return model, err
}

// PushPlugin uploads a WebAssembly module like PushModel and returns the new version of the plugin name.
func (c *Client) PushPlugin(ctx context.Context, name string, file io.ReaderAt, size int64, opts ...PushOption) (*tandemv1.Plugin, error) {
	var plugin *tandemv1.Plugin
	err := push(ctx, file, size, settingsOf(opts), transfer{
		begin: func(ctx context.Context, digest string) (begun, error) {
			return c.Plugins.BeginPluginUpload(ctx, &tandemv1.BeginPluginUploadRequest{Name: name, SizeBytes: size, Digest: digest})
		},
		put: func(ctx context.Context, id string, off int64, data []byte, crc uint32) (committed, error) {
			return c.Plugins.PutPluginChunk(ctx, &tandemv1.PutPluginChunkRequest{UploadId: id, Offset: off, Data: data, Crc32C: crc})
		},
		finish: func(ctx context.Context, id string) error {
			res, err := c.Plugins.FinishPluginUpload(ctx, &tandemv1.FinishPluginUploadRequest{UploadId: id})
			plugin = res.GetPlugin()
			return err
		},
	})
	return plugin, err
}

// committed is what every chunk's answer says.
type committed interface{ GetCommittedOffset() int64 }

// begun is what every begin's answer says.
type begun interface {
	committed
	GetUploadId() string
	GetMaxChunkBytes() int64
}

// transfer is one service's three calls.
type transfer struct {
	begin  func(ctx context.Context, digest string) (begun, error)
	put    func(ctx context.Context, id string, off int64, data []byte, crc uint32) (committed, error)
	finish func(ctx context.Context, id string) error
}

// defaultChunk is used when the server does not name a limit: 1 MiB.
const defaultChunk = 1 << 20

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func settingsOf(opts []PushOption) pushSettings {
	s := pushSettings{progress: func(int64, int64) {}}
	for _, o := range opts {
		o.applyPush(&s)
	}
	return s
}

func push(ctx context.Context, file io.ReaderAt, size int64, s pushSettings, t transfer) error {
	h := sha256.New()
	if _, err := io.Copy(h, io.NewSectionReader(file, 0, size)); err != nil {
		return fmt.Errorf("read file: %w", err)
	}
	up, err := t.begin(ctx, "sha256:"+hex.EncodeToString(h.Sum(nil)))
	if err != nil {
		return err
	}
	chunk := up.GetMaxChunkBytes()
	if chunk <= 0 {
		chunk = defaultChunk
	}
	buf := make([]byte, min(chunk, size))
	s.progress(up.GetCommittedOffset(), size)
	for off := up.GetCommittedOffset(); off < size; {
		n, err := file.ReadAt(buf[:min(chunk, size-off)], off)
		if err != nil && !errors.Is(err, io.EOF) {
			return fmt.Errorf("read file: %w", err)
		}
		if off, err = putChunk(ctx, t, up.GetUploadId(), off, buf[:n]); err != nil {
			return err
		}
		s.progress(off, size)
	}
	return t.finish(ctx, up.GetUploadId())
}

// putChunk sends one chunk and returns where to go on, which is another place when the server had more or less than we
// thought (an answer that was lost on the way, for instance).
func putChunk(ctx context.Context, t transfer, id string, off int64, data []byte) (int64, error) {
	wait := 100 * time.Millisecond
	for try := 0; ; try++ {
		res, err := t.put(ctx, id, off, data, crc32.Checksum(data, castagnoli))
		if err == nil {
			return res.GetCommittedOffset(), nil
		}
		if d := Detail(err); d.GetReason() == tandemv1.Reason_REASON_UPLOAD_OFFSET && d.GetCommittedOffset() != off {
			return d.GetCommittedOffset(), nil
		}
		if connect.CodeOf(err) != connect.CodeUnavailable || try == maxTries {
			return 0, err
		}
		if err := sleep(ctx, wait); err != nil {
			return 0, err
		}
		wait = min(2*wait, maxWait)
	}
}

// A server that restarts is back within seconds; 20 tries with these pauses last about a minute.
const (
	maxTries = 20
	maxWait  = 4 * time.Second
)

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return nil
	}
}
