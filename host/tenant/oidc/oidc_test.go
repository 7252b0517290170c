package oidc_test

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"github.com/google/go-cmp/cmp"

	"github.com/tandem-serve/tandem/host/tenant"
	"github.com/tandem-serve/tandem/host/tenant/oidc"
)

// issuer is a real issuer on loopback: discovery, a key set, and tokens that it signs.
type issuer struct {
	*httptest.Server
	key   *rsa.PrivateKey
	kid   string
	asked atomic.Int64 // for keys
	// broken has it fail when it is asked for keys, moved has it send those who ask elsewhere.
	broken, moved atomic.Bool
}

func newKey(t testing.TB) *rsa.PrivateKey {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func newIssuer(t testing.TB) *issuer {
	t.Helper()
	is := &issuer{key: newKey(t), kid: "one"}
	mux := http.NewServeMux()
	answer := func(w http.ResponseWriter, v any) {
		w.Header().Set("Content-Type", "application/json")
		if err := json.NewEncoder(w).Encode(v); err != nil {
			t.Error(err)
		}
	}
	mux.HandleFunc("GET /.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, map[string]any{
			"issuer": is.URL, "jwks_uri": is.URL + "/keys", "authorization_endpoint": is.URL + "/a", "token_endpoint": is.URL + "/t",
			"id_token_signing_alg_values_supported": []string{"RS256"},
		})
	})
	mux.HandleFunc("GET /keys", func(w http.ResponseWriter, r *http.Request) {
		is.asked.Add(1)
		switch {
		case is.broken.Load():
			http.Error(w, "not now", http.StatusInternalServerError)
			return
		case is.moved.Load() && r.URL.RawQuery == "":
			http.Redirect(w, r, "/keys?new", http.StatusFound)
			return
		}
		answer(w, jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: is.key.Public(), KeyID: is.kid, Algorithm: "RS256", Use: "sig"}}})
	})
	is.Server = httptest.NewServer(mux)
	t.Cleanup(is.Close)
	return is
}

// token signs claims with a key of the given id.
func token(t *testing.T, key any, alg jose.SignatureAlgorithm, kid string, claims map[string]any) string {
	t.Helper()
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: key}, (&jose.SignerOptions{}).WithHeader("kid", kid))
	if err != nil {
		t.Fatal(err)
	}
	s, err := jwt.Signed(signer).Claims(claims).Serialize()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// claims are good ones, changed.
func (is *issuer) claims(change map[string]any) map[string]any {
	c := map[string]any{
		"iss": is.URL, "aud": "tandem", "sub": "ann", "exp": time.Now().Add(time.Hour).Unix(), "iat": time.Now().Unix(),
		"tandem_tenant": "acme", "tandem_role": "publisher",
	}
	for k, v := range change {
		if v == nil {
			delete(c, k)
		} else {
			c[k] = v
		}
	}
	return c
}

func newVerifier(t testing.TB, cfg oidc.Config) *oidc.Verifier {
	t.Helper()
	v, err := oidc.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestVerify(t *testing.T) {
	is := newIssuer(t)
	v := newVerifier(t, oidc.Config{Issuer: is.URL, Audience: "tandem"})
	good := is.claims(nil)
	p, expires, err := v.Verify(t.Context(), token(t, is.key, jose.RS256, "one", good))
	want := tenant.Principal{Tenant: "acme", Subject: "ann", Role: tenant.RolePublisher}
	if err != nil || cmp.Diff(want, p) != "" || expires.Unix() != good["exp"] {
		t.Fatalf("got %+v until %v, %v", p, expires, err)
	}
	stranger := newKey(t)
	for name, tok := range map[string]string{
		"empty":            "",
		"no token":         "hello",
		"another's key":    token(t, stranger, jose.RS256, "one", good),
		"unknown key":      token(t, stranger, jose.RS256, "two", good),
		"shared secret":    token(t, []byte(strings.Repeat("k", 32)), jose.HS256, "one", good),
		"another audience": token(t, is.key, jose.RS256, "one", is.claims(map[string]any{"aud": "other"})),
		"another issuer":   token(t, is.key, jose.RS256, "one", is.claims(map[string]any{"iss": "https://example.com"})),
		"expired":          token(t, is.key, jose.RS256, "one", is.claims(map[string]any{"exp": time.Now().Add(-time.Hour).Unix()})),
		"not yet":          token(t, is.key, jose.RS256, "one", is.claims(map[string]any{"nbf": time.Now().Add(time.Hour).Unix()})),
		"no tenant":        token(t, is.key, jose.RS256, "one", is.claims(map[string]any{"tandem_tenant": nil})),
		"tenant no text":   token(t, is.key, jose.RS256, "one", is.claims(map[string]any{"tandem_tenant": 7})),
		"bad tenant":       token(t, is.key, jose.RS256, "one", is.claims(map[string]any{"tandem_tenant": "a.>"})),
		"no role":          token(t, is.key, jose.RS256, "one", is.claims(map[string]any{"tandem_role": nil})),
		"bad role":         token(t, is.key, jose.RS256, "one", is.claims(map[string]any{"tandem_role": "root"})),
		"no subject":       token(t, is.key, jose.RS256, "one", is.claims(map[string]any{"sub": nil})),
		"long subject":     token(t, is.key, jose.RS256, "one", is.claims(map[string]any{"sub": strings.Repeat("a", 256)})),
		"huge":             token(t, is.key, jose.RS256, "one", is.claims(map[string]any{"x": strings.Repeat("x", 20_000)})),
	} {
		if p, _, err := v.Verify(t.Context(), tok); !errors.Is(err, tenant.ErrUnauthenticated) {
			t.Errorf("%s: got %+v, %v", name, p, err)
		}
	}
}

// TestKeysAreAskedForOnce verifies many tokens, then has the issuer change its key.
func TestKeysAreAskedForOnce(t *testing.T) {
	is := newIssuer(t)
	now := time.Now()
	v := newVerifier(t, oidc.Config{Issuer: is.URL, Audience: "tandem", Now: func() time.Time { return now }})
	tok := token(t, is.key, jose.RS256, "one", is.claims(nil))
	for range 100 {
		if _, _, err := v.Verify(t.Context(), tok); err != nil {
			t.Fatal(err)
		}
	}
	if n := is.asked.Load(); n != 1 {
		t.Errorf("the keys were asked for %d times", n)
	}
	is.key, is.kid = newKey(t), "two"
	now = now.Add(5 * time.Second)
	if _, _, err := v.Verify(t.Context(), token(t, is.key, jose.RS256, "two", is.claims(nil))); err != nil {
		t.Errorf("after a change of keys: %v", err)
	}
	// The set of keys hands the new ones to whoever waits for them a moment before it forgets the old ones.
	_, _, err := v.Verify(t.Context(), tok)
	for end := time.Now().Add(10 * time.Second); err == nil && time.Now().Before(end); _, _, err = v.Verify(t.Context(), tok) {
		runtime.Gosched()
	}
	if !errors.Is(err, tenant.ErrUnauthenticated) {
		t.Errorf("the old key: got %v", err)
	}
}

// TestMadeUpTokensAskNothing sends tokens that nobody signed, with a key's id that is known and ones that are not, to an issuer that
// answers and to one that does not.
func TestMadeUpTokensAskNothing(t *testing.T) {
	stranger := newKey(t)
	for name, broken := range map[string]bool{"answers": false, "fails": true} {
		t.Run(name, func(t *testing.T) {
			is := newIssuer(t)
			now := time.Now()
			v := newVerifier(t, oidc.Config{Issuer: is.URL, Audience: "tandem", Now: func() time.Time { return now }})
			good := token(t, is.key, jose.RS256, "one", is.claims(nil))
			is.broken.Store(broken)
			for round := range 3 {
				for i := range 20 {
					kid := []string{"one", "two", ""}[i%3]
					if _, _, err := v.Verify(t.Context(), token(t, stranger, jose.RS256, kid, is.claims(nil))); !errors.Is(err, tenant.ErrUnauthenticated) {
						t.Fatalf("got %v", err)
					}
				}
				if n := is.asked.Load(); n != int64(round+1) {
					t.Errorf("the keys were asked for %d times in %d × 5 s", n, round+1)
				}
				now = now.Add(5 * time.Second)
			}
			is.broken.Store(false)
			_, _, err := v.Verify(t.Context(), good)
			for tries := 0; err != nil && tries < 100; tries++ { // go-oidc hands on the failure of before for as long as its goroutine has not ended
				now = now.Add(5 * time.Second)
				_, _, err = v.Verify(t.Context(), good)
			}
			if err != nil {
				t.Errorf("a good token after them: %v", err)
			}
		})
	}
}

// TestKeysMove follows the issuer to where it has its keys now.
func TestKeysMove(t *testing.T) {
	is := newIssuer(t)
	is.moved.Store(true)
	v := newVerifier(t, oidc.Config{Issuer: is.URL, Audience: "tandem"})
	if _, _, err := v.Verify(t.Context(), token(t, is.key, jose.RS256, "one", is.claims(nil))); err != nil {
		t.Error(err)
	}
	if n := is.asked.Load(); n != 2 {
		t.Errorf("the issuer was asked %d times, want 2: the old place and the new one", n)
	}
}

func TestMapping(t *testing.T) {
	is := newIssuer(t)
	v := newVerifier(t, oidc.Config{
		Issuer: is.URL, Audience: "tandem", TenantClaim: "org", RoleClaim: "duty", Tenants: map[string]tenant.ID{"Acme Inc.": "acme"},
	})
	p, _, err := v.Verify(t.Context(), token(t, is.key, jose.RS256, "one", is.claims(map[string]any{"org": "Acme Inc.", "duty": "viewer"})))
	if err != nil || p.Tenant != "acme" || p.Role != tenant.RoleViewer {
		t.Errorf("got %+v, %v", p, err)
	}
	// With a mapping, nobody gets into a tenant by being called like it.
	_, _, err = v.Verify(t.Context(), token(t, is.key, jose.RS256, "one", is.claims(map[string]any{"org": "acme", "duty": "viewer"})))
	if !errors.Is(err, tenant.ErrUnauthenticated) {
		t.Errorf("got %v", err)
	}
}

// TestIssuerAway says that the issuer is away, asks it again after a while, and goes on then.
func TestIssuerAway(t *testing.T) {
	is := newIssuer(t)
	now := time.Now()
	away := true
	v := newVerifier(t, oidc.Config{
		Issuer: is.URL, Audience: "tandem", Now: func() time.Time { return now },
		HTTPClient: &http.Client{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
			if away {
				return nil, errors.New("no route")
			}
			return http.DefaultTransport.RoundTrip(r)
		})},
	})
	tok := token(t, is.key, jose.RS256, "one", is.claims(nil))
	for range 2 {
		if _, _, err := v.Verify(t.Context(), tok); !errors.Is(err, oidc.ErrIssuer) || errors.Is(err, tenant.ErrUnauthenticated) {
			t.Errorf("got %v", err)
		}
	}
	away = false
	if _, _, err := v.Verify(t.Context(), tok); !errors.Is(err, oidc.ErrIssuer) {
		t.Errorf("it was asked again at once: %v", err)
	}
	now = now.Add(6 * time.Second)
	if _, _, err := v.Verify(t.Context(), tok); err != nil {
		t.Errorf("after a while: %v", err)
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestConfig(t *testing.T) {
	for name, cfg := range map[string]oidc.Config{
		"nothing":     {},
		"no URL":      {Issuer: "acme", Audience: "a"},
		"no audience": {Issuer: "https://id.example.com"},
		"plain http":  {Issuer: "http://id.example.com", Audience: "a"},
		"bad tenant":  {Issuer: "https://id.example.com", Audience: "a", Tenants: map[string]tenant.ID{"x": "A.B"}},
	} {
		if _, err := oidc.New(cfg); err == nil {
			t.Errorf("%s: was taken", name)
		}
	}
}
