package e2e

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/tandem-serve/tandem/internal/rig"
	tandemv1 "github.com/tandem-serve/tandem/proto/gen/tandem/v1"
	"github.com/tandem-serve/tandem/sdk/client"
)

// loss is a way to lose the right to call.
type loss struct {
	// lose takes the right from whoever has these credentials of a tenant.
	lose func(ctx context.Context, tenant string, admin *client.Client, credentials []string) error
	// tokens are used in place of keys.
	tokens bool
	// grace is that it is lost a little later.
	grace bool
	want  tandemv1.Reason
}

// losses returns all of them.
func losses(s *rig.Server) map[string]loss {
	eachKey := func(credentials []string, change func(id string) error) error {
		var errs []error
		for _, key := range credentials {
			errs = append(errs, change(strings.Split(key, "_")[1]))
		}
		return errors.Join(errs...)
	}
	rotate := func(grace time.Duration) func(context.Context, string, *client.Client, []string) error {
		return func(ctx context.Context, _ string, admin *client.Client, credentials []string) error {
			return eachKey(credentials, func(id string) error {
				_, err := admin.Tenants.RotateKey(ctx, &tandemv1.RotateKeyRequest{Id: id, Grace: durationpb.New(grace)})
				return err
			})
		}
	}
	suspend := func(ctx context.Context, tenant string, _ *client.Client, _ []string) error {
		_, err := s.Client.Tenants.SuspendTenant(ctx, &tandemv1.SuspendTenantRequest{Name: tenant})
		return err
	}
	return map[string]loss{
		"revoked": {lose: func(ctx context.Context, _ string, admin *client.Client, credentials []string) error {
			return eachKey(credentials, func(id string) error {
				_, err := admin.Tenants.RevokeKey(ctx, &tandemv1.RevokeKeyRequest{Id: id})
				return err
			})
		}, want: tandemv1.Reason_REASON_WRONG_KEY},
		"rotated":            {lose: rotate(0), want: tandemv1.Reason_REASON_WRONG_KEY},
		"rotated-with-grace": {lose: rotate(time.Second), grace: true, want: tandemv1.Reason_REASON_WRONG_KEY},
		"suspended":          {lose: suspend, want: tandemv1.Reason_REASON_FORBIDDEN},
		"suspended-tokens":   {lose: suspend, tokens: true, want: tandemv1.Reason_REASON_FORBIDDEN},
		"deleted": {lose: func(ctx context.Context, tenant string, _ *client.Client, _ []string) error {
			_, err := s.Client.Tenants.DeleteTenant(ctx, &tandemv1.DeleteTenantRequest{Name: tenant})
			return err
		}, want: tandemv1.Reason_REASON_FORBIDDEN},
	}
}

// TestLosingTheRightEndsCalls takes the right to call from who has a call and a stream running that would spin for a day. Both end
// before a call of somebody else does that began earlier and goes on, and before many short calls that came later are through: nothing but the
// loss ended them, and at once.
func TestLosingTheRightEndsCalls(t *testing.T) {
	is := newIssuer(t)
	s := start(t, rig.Options{Args: []string{"--oidc-issuer", is.URL, "--oidc-audience", "tandem"}})
	neighbour := newTenant(t, s, "neighbour")
	pushHostile(t, neighbour)
	day, stop := context.WithTimeout(t.Context(), 24*time.Hour)
	defer stop()
	last := spin(day, neighbour)
	waitInFlight(bounded(t), t, s, "neighbour", 1)
	for name, l := range losses(s) {
		t.Run(name, func(t *testing.T) {
			admin := newTenant(t, s, name)
			pushHostile(t, admin)
			credentials := []string{
				scopedKey(t, admin, tandemv1.Role_ROLE_CALLER, "spin"), scopedKey(t, admin, tandemv1.Role_ROLE_PUBLISHER, "spin", "other"),
			}
			if l.tokens {
				credentials = []string{is.token(t, name, "caller"), is.token(t, name, "publisher")}
			}
			call, stream := spin(day, withCredential(t, s, credentials[0])), spinStream(day, withCredential(t, s, credentials[1]))
			waitInFlight(bounded(t), t, s, name, 2)
			if err := l.lose(bounded(t), name, admin, credentials); err != nil {
				t.Fatal(err)
			}
			for _, ended := range []<-chan error{call, stream} {
				wantEnded(t, s, ended, last, l)
			}
			for _, credential := range credentials {
				if _, err := withCredential(t, s, credential).Infer(bounded(t), "spin", mode(0)); client.Reason(err) != l.want && client.Reason(err) != tandemv1.Reason_REASON_WRONG_KEY {
					t.Errorf("another call: got %v, want %v", err, l.want)
				}
			}
		})
	}
	stop()
	<-last
}

// callsAfter is how many calls of somebody else are made, one after another, after which those whose right was lost have long ended.
const callsAfter = 2000

// wantEnded makes sure that a call ends with a reason, before the last one and, but for the grace of a key, before so many later calls
// are through.
func wantEnded(t *testing.T, s *rig.Server, ended, last <-chan error, l loss) {
	t.Helper()
	ctx := bounded(t)
	for later := 0; later < callsAfter || l.grace; later++ {
		select {
		case err := <-ended:
			if client.Reason(err) != l.want {
				t.Errorf("a call ended with %v (%v), want %v", client.Reason(err), err, l.want)
			}
			return
		case err := <-last:
			t.Fatalf("the last call ended first: %v", err)
		default:
			tenantOf(ctx, t, s, "neighbour")
		}
	}
	t.Fatalf("after %d later calls it goes on", callsAfter)
}

func withCredential(t *testing.T, s *rig.Server, credential string) *client.Client {
	t.Helper()
	c, err := client.New(s.URL, client.WithKey(credential))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// spin calls the graph that spins for ever. What comes gets the call's end.
func spin(ctx context.Context, c *client.Client) <-chan error {
	ended := make(chan error, 1)
	go func() {
		_, err := c.Infer(ctx, "spin", mode(0))
		ended <- err
	}()
	return ended
}

// spinStream is spin with a stream.
func spinStream(ctx context.Context, c *client.Client) <-chan error {
	ended := make(chan error, 1)
	go func() {
		var last error
		for _, err := range c.InferStream(ctx, "spin", mode(0)) {
			last = err
		}
		ended <- last
	}()
	return ended
}

// issuer is an identity provider on loopback.
type issuer struct {
	*httptest.Server

	key *rsa.PrivateKey
}

func newIssuer(t *testing.T) *issuer {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	is := &issuer{key: key}
	mux := http.NewServeMux()
	answer := func(path string, doc func() map[string]any) {
		mux.HandleFunc("GET "+path, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			if err := json.NewEncoder(w).Encode(doc()); err != nil {
				t.Error(err)
			}
		})
	}
	answer("/.well-known/openid-configuration", func() map[string]any {
		return map[string]any{"issuer": is.URL, "jwks_uri": is.URL + "/keys", "id_token_signing_alg_values_supported": []string{"RS256"}}
	})
	answer("/keys", func() map[string]any {
		n, e := encoded(key.N.Bytes()), encoded(big.NewInt(int64(key.E)).Bytes())
		return map[string]any{"keys": []any{map[string]any{"kty": "RSA", "kid": "one", "alg": "RS256", "use": "sig", "n": n, "e": e}}}
	})
	is.Server = httptest.NewServer(mux)
	t.Cleanup(is.Close)
	return is
}

// token returns an ID token for a tenant and a role that is good for two days.
func (is *issuer) token(t *testing.T, tenant, role string) string {
	t.Helper()
	claims, err := json.Marshal(map[string]any{
		"iss": is.URL, "aud": "tandem", "sub": "ann", "iat": time.Now().Unix(), "exp": time.Now().Add(48 * time.Hour).Unix(),
		"tandem_tenant": tenant, "tandem_role": role,
	})
	if err != nil {
		t.Fatal(err)
	}
	signed := encoded([]byte(`{"alg":"RS256","kid":"one"}`)) + "." + encoded(claims)
	sum := sha256.Sum256([]byte(signed))
	signature, err := rsa.SignPKCS1v15(rand.Reader, is.key, crypto.SHA256, sum[:])
	if err != nil {
		t.Fatal(err)
	}
	return signed + "." + encoded(signature)
}

func encoded(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }
