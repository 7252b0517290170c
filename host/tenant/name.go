package tenant

import (
	"fmt"
	"regexp"
	"strings"
)

// Longest names, in bytes.
const (
	MaxIDLen   = 63
	MaxNameLen = 100
	MaxTagLen  = 64
)

var (
	idRule   = regexp.MustCompile(`^[a-z][a-z0-9]*(-[a-z0-9]+)*$`)
	nameRule = regexp.MustCompile(`^[A-Za-z0-9]+([._-]+[A-Za-z0-9]+)*$`)
	tagRule  = regexp.MustCompile(`^[a-z][a-z0-9]*([._-]+[a-z0-9]+)*$`)
)

// CheckID returns an error wrapping [ErrName] unless id is a well-formed tenant name: lower-case letters, digits and
// single inner hyphens, a letter first, at most [MaxIDLen] bytes.
func CheckID(id ID) error {
	if len(id) > MaxIDLen || !idRule.MatchString(string(id)) {
		return fmt.Errorf("%w: tenant %q (want a-z, 0-9 and inner -, a letter first, at most %d bytes)",
			ErrName, clip(string(id)), MaxIDLen)
	}
	return nil
}

// CheckName returns an error wrapping [ErrName] unless name is a well-formed name of a model, plugin, graph or record
// stream: letters, digits and inner ".", "_", "-" without "..", at most [MaxNameLen] bytes. Case counts.
func CheckName(name string) error {
	if len(name) > MaxNameLen || !nameRule.MatchString(name) || strings.Contains(name, "..") {
		return fmt.Errorf("%w: %q (want letters, digits and inner . _ -, at most %d bytes)", ErrName, clip(name), MaxNameLen)
	}
	return nil
}

// CheckTag returns an error wrapping [ErrName] unless tag is a well-formed tag: lower-case letters, digits and inner ".",
// "_", "-", a letter first (so that it is never a version number), at most [MaxTagLen] bytes.
func CheckTag(tag string) error {
	if len(tag) > MaxTagLen || !tagRule.MatchString(tag) || strings.Contains(tag, "..") {
		return fmt.Errorf("%w: tag %q (want a-z, 0-9 and inner . _ -, a letter first, at most %d bytes)",
			ErrName, clip(tag), MaxTagLen)
	}
	return nil
}

// clip keeps an outsider's overlong name from filling messages and logs.
func clip(s string) string {
	if len(s) <= MaxNameLen {
		return s
	}
	return s[:MaxNameLen] + "…"
}
