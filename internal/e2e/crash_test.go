package e2e

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tandem-serve/tandem/internal/rig"
	tandemv1 "github.com/tandem-serve/tandem/proto/gen/tandem/v1"
	"github.com/tandem-serve/tandem/sdk/client"
)

// crashes is how often the server is killed.
const crashes = 100

// ledger is what the server acknowledged.
type ledger struct {
	mu     sync.Mutex
	models map[string]string // name@version -> digest
	graphs map[string]string // name@version -> document
	last   int
}

// TestKillLosesNothing kills the server at random moments while models are uploaded and graphs published. After each
// restart everything that was acknowledged must be there and whole, and nothing half-finished may be visible.
func TestKillLosesNothing(t *testing.T) {
	dir := root(t)
	base, err := os.ReadFile(filepath.Join(dir, "runners", "onnx", "testdata", "add_sub.onnx"))
	if err != nil {
		t.Fatal(err)
	}
	data := t.TempDir()
	l := &ledger{models: map[string]string{}, graphs: map[string]string{}}
	seed := time.Now().UnixNano()
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(uint64(seed), 1))
	for i := range crashes {
		log := &logBuffer{}
		s, err := rig.Start(context.WithoutCancel(t.Context()), rig.Options{Root: dir, Data: data, Log: log})
		if err != nil {
			t.Fatalf("start %d: %v\n%s", i, err, log.String())
		}
		l.check(t, s)
		ctx, cancel := context.WithCancel(t.Context())
		var writers sync.WaitGroup
		for range 2 {
			writers.Go(func() { l.write(ctx, s, base) })
		}
		<-time.NewTimer(time.Duration(rnd.IntN(300)) * time.Millisecond).C // a real process is killed at a real moment
		if err := s.Kill(); err != nil {
			t.Fatal(err)
		}
		cancel()
		writers.Wait()
		if t.Failed() {
			t.Fatalf("after crash %d; the log:\n%s", i, log.String())
		}
	}
	t.Logf("%d crashes; %d models and %d releases acknowledged", crashes, len(l.models), len(l.graphs))
	if len(l.models) < crashes/4 || len(l.graphs) < crashes/4 {
		t.Errorf("too little was acknowledged for the test to mean much")
	}
}

// write uploads models and publishes graphs that use them until the server is gone.
func (l *ledger) write(ctx context.Context, s *rig.Server, base []byte) {
	for ctx.Err() == nil {
		l.mu.Lock()
		l.last++
		n := l.last
		l.mu.Unlock()
		file, name := variant(base, n), fmt.Sprintf("m%d", n%7)
		m, err := pushSlowly(ctx, s.Client, name, file)
		if err != nil {
			return
		}
		l.mu.Lock()
		l.models[fmt.Sprintf("%s@%d", name, m.GetVersion())] = m.GetDigest()
		l.mu.Unlock()
		doc := fmt.Sprintf(`{"graph": "g%d", "inputs": {"a": {"type": "tensor", "dtype": "FP32", "shape": ["n", 3]}, "b": {"type": "tensor", "dtype": "FP32", "shape": ["n", 3]}},
 "outputs": {"sum": {"from": "m.sum"}}, "nodes": {"m": {"model": "%s@%d", "in": {"a": "a", "b": "b"}}}}`, n%5, name, m.GetVersion())
		res, err := s.Client.Graphs.PublishGraph(ctx, &tandemv1.PublishGraphRequest{Document: doc})
		if err != nil {
			return
		}
		l.mu.Lock()
		l.graphs[fmt.Sprintf("%s@%d", res.GetGraph().GetName(), res.GetGraph().GetVersion())] = doc
		l.mu.Unlock()
	}
}

// variant returns the model with another text in its doc string, so that each upload has a digest of its own.
func variant(base []byte, n int) []byte {
	doc := fmt.Sprintf("variant %06d", n)
	field := append([]byte{6<<3 | 2, byte(len(doc))}, doc...) // ModelProto.doc_string
	return append(append([]byte{}, base...), field...)
}

// pushSlowly uploads in small chunks, so that many kills fall between two of them.
func pushSlowly(ctx context.Context, c *client.Client, name string, file []byte) (*tandemv1.Model, error) {
	sum := sha256.Sum256(file)
	up, err := c.Models.BeginModelUpload(ctx, &tandemv1.BeginModelUploadRequest{
		Name: name, SizeBytes: int64(len(file)), Digest: "sha256:" + hex.EncodeToString(sum[:]),
	})
	if err != nil {
		return nil, err
	}
	for off := up.GetCommittedOffset(); off < int64(len(file)); {
		chunk := file[off:min(off+100, int64(len(file)))]
		res, err := c.Models.PutModelChunk(ctx, &tandemv1.PutModelChunkRequest{
			UploadId: up.GetUploadId(), Offset: off, Data: chunk, Crc32C: crc32.Checksum(chunk, crc32.MakeTable(crc32.Castagnoli)),
		})
		if err != nil {
			return nil, err
		}
		off = res.GetCommittedOffset()
	}
	res, err := c.Models.FinishModelUpload(ctx, &tandemv1.FinishModelUploadRequest{UploadId: up.GetUploadId()})
	return res.GetModel(), err
}

// check compares what the server has with what it acknowledged.
func (l *ledger) check(t *testing.T, s *rig.Server) {
	t.Helper()
	ctx := bounded(t)
	for at, digest := range l.models {
		res, err := s.Client.Models.GetModel(ctx, &tandemv1.GetModelRequest{Name: at})
		if err != nil || res.GetModel().GetDigest() != digest {
			t.Errorf("model %s: got %s and %v, want %s", at, res.GetModel().GetDigest(), err, digest)
		}
	}
	for at, doc := range l.graphs {
		res, err := s.Client.Graphs.GetGraph(ctx, &tandemv1.GetGraphRequest{Name: at})
		if err != nil || res.GetGraph().GetDocument() != doc {
			t.Errorf("graph %s: got %v", at, err)
		}
	}
	l.checkVisible(t, s)
}

// checkVisible checks that all that can be seen is whole: every model's blob has its digest and every graph answers.
func (l *ledger) checkVisible(t *testing.T, s *rig.Server) {
	t.Helper()
	ctx := bounded(t)
	models, err := s.Client.Models.ListModels(ctx, &tandemv1.ListModelsRequest{PageSize: 1000})
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range models.GetModels() {
		hexDigest := strings.TrimPrefix(m.GetDigest(), "sha256:")
		blob, err := os.ReadFile(filepath.Join(s.Data, "blobs", "blobs", "sha256", hexDigest))
		if sum := sha256.Sum256(blob); err != nil || hex.EncodeToString(sum[:]) != hexDigest {
			t.Errorf("model %s@%d: its blob is damaged: %v", m.GetName(), m.GetVersion(), err)
		}
	}
	graphs, err := s.Client.Graphs.ListGraphs(ctx, &tandemv1.ListGraphsRequest{PageSize: 1000})
	if err != nil {
		t.Fatal(err)
	}
	one := client.Float32s([]int64{1, 3}, []float32{1, 2, 3})
	for _, g := range graphs.GetGraphs() {
		res, err := s.Client.Infer(ctx, g.GetName(), map[string]*tandemv1.Value{"a": one, "b": one})
		if err != nil || len(res.GetOutputs()["sum"].GetTensor().GetData()) != 12 {
			t.Errorf("graph %s@%d does not answer: %v", g.GetName(), g.GetVersion(), err)
		}
	}
}
