package sandbox

import (
	"fmt"
	"io"
	"strings"

	"github.com/tandem-serve/tandem/internal/bench/report"
)

// page writes the tables of docs/perf/sandbox.md: what has a target, metering by kernel, and the rest.
func page(r *report.Report, w io.Writer) error {
	var targets, kernels, rest strings.Builder
	for _, res := range r.Results {
		value := report.Number(res.Value) + " " + res.Unit
		kernel, metering := strings.CutPrefix(res.Name, "metering, ")
		switch {
		case res.Target != nil:
			bound, verdict := "at most ", "missed"
			if res.AtLeast {
				bound = "at least "
			}
			if res.Met != nil && *res.Met {
				verdict = "kept"
			}
			fmt.Fprintf(&targets, "| %s | %s%s %s | %s | %s |\n", res.Name, bound, report.Number(*res.Target), res.Unit, value, verdict)
		case metering:
			fmt.Fprintf(&kernels, "| %s | %s |\n", kernel, report.Number(res.Value))
		default:
			fmt.Fprintf(&rest, "| %s | %s |\n", res.Name, value)
		}
	}
	_, err := fmt.Fprintf(w, "%s, commit %s. %s\n\n## Targets\n\n| | target | measured | |\n| --- | ---: | ---: | --- |\n%s"+
		"\n## Metering\n\n| kernel | metered over plain |\n| --- | ---: |\n%s\n## Beside them\n\n| | |\n| --- | ---: |\n%s",
		r.Machine, r.Commit, strings.Join(r.Notes, "; "), targets.String(), kernels.String(), rest.String())
	return err
}
