package sandbox

import (
	"fmt"
	"io"
	"strings"

	"github.com/tandem-serve/tandem/internal/bench/report"
)

// page writes the tables of docs/perf/sandbox.md: what has a target, metering by kernel, and the rest.
func page(r *report.Report, w io.Writer) error {
	if err := r.WriteTargets(w); err != nil {
		return err
	}
	var kernels, rest strings.Builder
	for _, res := range r.Results {
		kernel, metering := strings.CutPrefix(res.Name, "metering, ")
		switch {
		case res.Target != nil:
		case metering:
			fmt.Fprintf(&kernels, "| %s | %s |\n", kernel, report.Number(res.Value))
		default:
			fmt.Fprintf(&rest, "| %s | %s %s |\n", res.Name, report.Number(res.Value), res.Unit)
		}
	}
	_, err := fmt.Fprintf(w, "\n## Metering\n\n| kernel | metered over plain |\n| --- | ---: |\n%s\n## Beside them\n\n| | |\n| --- | ---: |\n%s", kernels.String(), rest.String())
	return err
}
