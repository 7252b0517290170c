package oidc

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"
)

// maxKeys bounds the answer with the issuer's keys, in bytes.
const maxKeys = 1 << 20

// keyFetcher asks the issuer for its keys at most once per [askAgain]. In between it gives the last answer again, or the last error. A
// set of keys asks for every token whose signature it cannot verify, and anybody can make such tokens.
//
// It is the transport of a set of keys, and of nothing else: it takes every request for the same one. Its lock is held while the issuer
// is asked, so that it is asked once for all that wait.
type keyFetcher struct {
	client *http.Client
	now    func() time.Time

	mu   sync.Mutex // guards the following
	at   time.Time  // of the last answer; the zero time is never
	last *http.Response
	body []byte
	err  error
}

// RoundTrip implements http.RoundTripper.
func (f *keyFetcher) RoundTrip(req *http.Request) (*http.Response, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.at.IsZero() || f.now().Sub(f.at) >= askAgain {
		f.last, f.body, f.err = f.ask(req)
		f.at = f.now()
	}
	if f.err != nil {
		return nil, f.err
	}
	res := *f.last
	res.Header, res.Body, res.Request = f.last.Header.Clone(), io.NopCloser(bytes.NewReader(f.body)), req
	return &res, nil
}

// ask returns the issuer's answer, after what it redirects to, and its body.
func (f *keyFetcher) ask(req *http.Request) (*http.Response, []byte, error) {
	res, err := f.client.Do(req) // #nosec G704 -- to where the issuer says that its keys are
	if err != nil {
		return nil, nil, err
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(res.Body, maxKeys+1))
	if err != nil {
		return nil, nil, err
	}
	if len(body) > maxKeys {
		return nil, nil, fmt.Errorf("the issuer's keys take more than %d bytes", maxKeys)
	}
	return res, body, nil
}
