package oidc_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/tandem-serve/tandem/host/tenant"
	"github.com/tandem-serve/tandem/host/tenant/oidc"
)

// FuzzToken verifies tokens of three parts that the fuzzer makes up, and what it makes of claims when the issuer signs it. Who is let
// in has a signature of the issuer's, a tenant, a role and a subject; everybody else is told nothing but that.
func FuzzToken(f *testing.F) {
	is := newIssuer(f)
	v := newVerifier(f, oidc.Config{Issuer: is.URL, Audience: "tandem"})
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.RS256, Key: is.key}, (&jose.SignerOptions{}).WithHeader("kid", is.kid))
	if err != nil {
		f.Fatal(err)
	}
	const issuerHere = "https://issuer.example" // the real one's port is another each time
	for _, change := range []map[string]any{
		nil,
		{"aud": []string{"a", "tandem"}},
		{"exp": "soon"},
		{"exp": 1e300},
		{"tandem_tenant": "a.>"},
		{"tandem_role": []int{1}},
		{"sub": nil},
		{"nbf": -1},
		{"iat": nil},
		{"_claim_names": map[string]any{"tandem_role": "x"}},
	} {
		claims := is.claims(change)
		claims["iss"], claims["iat"] = issuerHere, 1
		if _, ok := change["exp"]; !ok {
			claims["exp"] = time.Date(2200, 1, 1, 0, 0, 0, 0, time.UTC).Unix()
		}
		b, err := json.Marshal(claims)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(b), "", true)
	}
	f.Add("eyJhbGciOiJub25lIn0.eyJzdWIiOiJhbm4ifQ.", "", false)
	f.Add("eyJhbGciOiJSUzI1NiIsImtpZCI6Im9uZSJ9.e30", "c2ln", false)
	f.Fuzz(func(t *testing.T, claims, signature string, signed bool) {
		token := claims + "." + signature
		if signed {
			sig, err := signer.Sign([]byte(strings.ReplaceAll(claims, issuerHere, is.URL)))
			if err != nil {
				t.Fatal(err)
			}
			if token, err = sig.CompactSerialize(); err != nil {
				t.Fatal(err)
			}
		}
		p, expires, err := v.Verify(t.Context(), token)
		switch {
		case err != nil && !errors.Is(err, tenant.ErrUnauthenticated):
			t.Errorf("got %v, want ErrUnauthenticated", err)
		case err == nil && !signed:
			t.Errorf("a token without a signature is %+v", p)
		case err == nil && (tenant.CheckID(p.Tenant) != nil || !p.Role.Valid() || p.Subject == "" || time.Now().After(expires)):
			t.Errorf("got %+v until %v", p, expires)
		}
	})
}
