package runners

import (
	"strings"
	"testing"

	"github.com/tandem-serve/tandem/internal/bench/report"
)

func TestPage(t *testing.T) {
	r := report.New(t.Context(), "runners")
	r.AtMost("each of them adds", 2, "us", 10)
	r.AtMost("tiny x1 worker adds to p50", 20, "us", 25)
	r.Add("tiny x1 bare throughput", 100, "rows/s")
	r.Add("tiny x1 bare p50", .125, "ms")
	r.Add("tiny x1 grpc throughput", 50, "rows/s")
	r.Add("tiny x1 grpc p50", .5, "ms")
	r.AtLeast("tiny x1 grpc/bare", .5, "ratio", .85)
	r.Add("tiny x1 grpc server's processor time", 7, "us/call")
	r.Add("tiny x16 engine, whole runs p50", .25, "ms")
	r.Add("tiny open loop at 50 % of the most, due", 25, "calls/s")
	r.Add("tiny alone, engine allocations", 40, "allocs")
	var b strings.Builder
	if err := page(r, &b); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"| each of them adds | at most 10 | 2 us | kept |",
		"| tiny x1 grpc/bare | at least 0.85 | 0.5 ratio | **missed** |",
		"## Rows per second\n\n| callers | bare | grpc | engine, whole runs |\n| --- | ---: | ---: | ---: |\n| tiny x1 | 100 | 50 |  |\n",
		"## p50, ms\n\n| callers | bare | grpc | engine, whole runs |\n| --- | ---: | ---: | ---: |\n| tiny x1 | 0.125 | 0.5 |  |\n| tiny x16 |  |  | 0.25 |\n",
		"| tiny x1 grpc |  | 7 |  |  |",
		"| tiny open loop at 50 % of the most | 25 |",
		"| tiny |  |  | 40 |",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("the page lacks\n%s\nit is\n%s", want, b.String())
		}
	}
}
