package graph

import (
	"slices"
	"strconv"
	"strings"
)

// quote returns text from a definition for a message.
func quote(s string) string { return strconv.Quote(clip(s, 80)) }

// suggest returns the candidate nearest to s, "" when none is near: at most a third of the letters may differ.
func suggest(s string, candidates []string) string {
	if len(s) > 2*MaxNameBytes {
		return ""
	}
	best, bestDistance := "", max(len(s)/3, 1)+1
	for _, c := range candidates {
		if c == "" || c == s || len(c) > 2*MaxNameBytes {
			continue
		}
		n := distance(strings.ToLower(s), strings.ToLower(c), bestDistance)
		if n < bestDistance && n < max(len(s), len(c)) {
			best, bestDistance = c, n
		}
	}
	return best
}

// didYouMean returns advice with the nearest candidate, "" when none is near.
func didYouMean(s string, candidates []string) string {
	if c := suggest(s, candidates); c != "" {
		return "did you mean " + quote(c) + "?"
	}
	return ""
}

// maxListed bounds how many candidates a message lists.
const maxListed = 20

// suggestOr returns advice with the nearest candidate, or else all of them after lead; "" when there are too many.
func suggestOr(s string, candidates []string, lead string) string {
	if advice := didYouMean(s, candidates); advice != "" {
		return advice
	}
	if len(candidates) == 0 || len(candidates) > maxListed {
		return ""
	}
	return lead + listed(candidates)
}

func listed(names []string) string {
	quoted := make([]string, len(names))
	for i, n := range names {
		quoted[i] = quote(n)
	}
	return strings.Join(quoted, ", ")
}

// The compiler stops to make suggestions when it has more faults than it reports: each costs time in the number of names.

func (c *compiler) suggest(s string, candidates []string) string {
	if len(c.faults) > MaxFaults {
		return ""
	}
	return suggest(s, candidates)
}

func (c *compiler) didYouMean(s string, candidates []string) string {
	if len(c.faults) > MaxFaults {
		return ""
	}
	return didYouMean(s, candidates)
}

func (c *compiler) suggestOr(s string, candidates []string, lead string) string {
	if len(c.faults) > MaxFaults {
		return ""
	}
	return suggestOr(s, candidates, lead)
}

// distance is the number of letters to insert, remove, replace or swap with their neighbour to turn a into b, or something
// not below most.
func distance(a, b string, most int) int {
	if len(a)-len(b) >= most || len(b)-len(a) >= most {
		return most
	}
	before, prev, cur := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range prev {
		prev[j] = j
	}
	for i := 1; i <= len(a); i++ {
		cur[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			cur[j] = min(prev[j]+1, cur[j-1]+1, prev[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				cur[j] = min(cur[j], before[j-2]+1)
			}
		}
		if slices.Min(cur) >= most && slices.Min(prev) >= most { // a swap reaches back two rows
			return most
		}
		before, prev, cur = prev, cur, before
	}
	return prev[len(b)]
}
