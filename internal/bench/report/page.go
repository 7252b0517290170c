package report

import (
	"fmt"
	"io"
	"strings"
)

// WriteTargets writes, in Markdown, where and with what was measured, and the table of what has a target, in
// the unit of what was measured.
func (r *Report) WriteTargets(w io.Writer) error {
	var rows strings.Builder
	for _, res := range r.Results {
		if res.Target == nil {
			continue
		}
		bound, verdict := "at most", "**missed**"
		if res.AtLeast {
			bound = "at least"
		}
		if res.Met != nil && *res.Met {
			verdict = "kept"
		}
		fmt.Fprintf(&rows, "| %s | %s %s | %s %s | %s |\n", res.Name, bound, Number(*res.Target), Number(res.Value), res.Unit, verdict)
	}
	_, err := fmt.Fprintf(w, "%s, commit %s. %s\n\n## Targets\n\n| | target | measured | |\n| --- | ---: | ---: | --- |\n%s",
		r.Machine, r.Commit, strings.Join(r.Notes, "; "), rows.String())
	return err
}
