// Package conformance holds the calls that a plugin SDK must pass: one plugin written with each SDK, and one suite that
// calls them alike through the server's sandbox. An SDK for another language adds its plugin here.
package conformance
