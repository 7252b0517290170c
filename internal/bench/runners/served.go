package runners

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tandem-serve/tandem/internal/rig"
	tandemv1 "github.com/tandem-serve/tandem/proto/gen/tandem/v1"
	"github.com/tandem-serve/tandem/sdk/client"
)

// served is a real server, and a client for each protocol.
type served struct {
	server *rig.Server
	grpc   *client.Client
	// metrics is a client of its own, so that reading them shares no connection with calls.
	metrics http.Client
}

func startServer(ctx context.Context, root string) (*served, error) {
	s, err := rig.Start(ctx, rig.Options{Root: root, Log: io.Discard})
	if err != nil {
		return nil, err
	}
	c, err := client.New(s.URL, client.WithKey(s.Key), client.WithGRPC())
	if err != nil {
		return nil, errors.Join(err, s.Stop())
	}
	return &served{server: s, grpc: c}, nil
}

func (s *served) stop() error {
	s.metrics.CloseIdleConnections()
	return s.server.Stop()
}

// publish pushes the model with the setting and publishes its graph.
func (s *served) publish(ctx context.Context, m *model, best setting) error {
	c := s.server.Client
	o := &tandemv1.ModelOptions{MaxRows: int32(best.rows), Threads: int32(best.threads), Concurrency: int32(best.runs)}
	if _, err := c.PushModel(ctx, m.name, bytes.NewReader(m.file), int64(len(m.file)), client.WithModelOptions(o)); err != nil {
		return err
	}
	_, err := c.Graphs.PublishGraph(ctx, &tandemv1.PublishGraphRequest{Document: m.document()})
	return err
}

// wire are the tensors as a call's inputs.
func (m *model) wire(rows int) map[string]*tandemv1.Value {
	in := map[string]*tandemv1.Value{}
	for i, t := range m.tensors(rows) {
		dtype := tandemv1.DataType(tandemv1.DataType_value["DATA_TYPE_"+t.DType.String()])
		in[m.in[i].name] = client.Tensor(dtype, t.Shape, t.Data)
	}
	return in
}

// infer returns a call of the graph.
func infer(c *client.Client, graph string, in map[string]*tandemv1.Value) func(context.Context) error {
	return func(ctx context.Context) error {
		_, err := c.Infer(ctx, graph, in)
		return err
	}
}

// spent is what server and generator have used so far.
type spent struct {
	calls     float64
	server    time.Duration // of processor time
	generator time.Duration
	mallocs   float64 // of the server
	copied    float64 // bytes on edges, by the server
}

func (s spent) less(o spent) spent {
	return spent{s.calls - o.calls, s.server - o.server, s.generator - o.generator, s.mallocs - o.mallocs, s.copied - o.copied}
}

func (s spent) add(o spent) spent {
	return spent{s.calls + o.calls, s.server + o.server, s.generator + o.generator, s.mallocs + o.mallocs, s.copied + o.copied}
}

// spentSoFar reads the server's metrics and this process's own usage.
func (s *served) spentSoFar(ctx context.Context) (spent, error) {
	var now spent
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.server.URL+"/metrics", nil)
	if err != nil {
		return now, err
	}
	req.Header.Set("Authorization", "Bearer "+s.server.Key)
	res, err := s.metrics.Do(req)
	if err != nil {
		return now, err
	}
	defer func() { _ = res.Body.Close() }() // it was only read
	lines := bufio.NewScanner(res.Body)
	for lines.Scan() {
		name, value, ok := cutLast(lines.Text())
		if !ok {
			continue
		}
		switch {
		case name == "process_cpu_seconds_total":
			now.server = time.Duration(value * float64(time.Second))
		case name == "go_memstats_mallocs_total":
			now.mallocs = value
		case strings.HasPrefix(name, "tandem_edge_copied_bytes_total"):
			now.copied += value
		}
	}
	if err := lines.Err(); err != nil {
		return now, err
	}
	if now.server == 0 || now.mallocs == 0 {
		return now, fmt.Errorf("the server's metrics lack its processor time or its allocations")
	}
	now.generator, err = ownTime()
	return now, err
}

func cutLast(line string) (name string, value float64, ok bool) {
	i := strings.LastIndexByte(line, ' ')
	if i < 0 || line[0] == '#' {
		return "", 0, false
	}
	value, err := strconv.ParseFloat(line[i+1:], 64)
	return line[:i], value, err == nil
}

// ownTime is the processor time of this process.
func ownTime() (time.Duration, error) {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		return 0, err
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()), nil
}
