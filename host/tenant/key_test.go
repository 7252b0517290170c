package tenant_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/tandem-serve/tandem/host/tenant"
)

func TestNewKey(t *testing.T) {
	seen := map[string]bool{}
	for range 100 {
		k, plain := tenant.NewKey(tenant.KeyParams{Tenant: "acme", Name: "ci", Role: tenant.RoleCaller, Now: testTime})
		id, secret, ok := tenant.ParseKey(plain)
		if !ok || id != k.ID || !strings.HasPrefix(plain, "tdm_") {
			t.Fatalf("%q: got %q, %v", plain, id, ok)
		}
		if !k.Matches(secret) || k.Matches(id) || k.Matches("") || k.Matches(secret[1:]) || k.Matches(secret+"a") {
			t.Fatal("the key matches the wrong secrets")
		}
		if seen[id] || seen[secret] {
			t.Fatal("a key came twice")
		}
		seen[id], seen[secret] = true, true
		stored, err := json.Marshal(k)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(stored, []byte(secret)) {
			t.Fatalf("the secret is stored: %s", stored)
		}
		if k.Tenant != "acme" || k.Role != tenant.RoleCaller || k.Name != "ci" || !k.CreatedAt.Equal(testTime) {
			t.Fatalf("got %+v", k)
		}
	}
	if (tenant.Key{}).Matches("") {
		t.Error("the zero key matches")
	}
}

func TestParseKey(t *testing.T) {
	_, plain := tenant.NewKey(tenant.KeyParams{Tenant: "a", Role: tenant.RoleAdmin, Now: testTime})
	for name, s := range map[string]string{
		"empty":            "",
		"prefix only":      "tdm_",
		"other prefix":     "xyz_" + plain[4:],
		"upper case":       strings.ToUpper(plain),
		"short":            plain[:len(plain)-1],
		"long":             plain + "a",
		"space":            plain[:len(plain)-1] + " ",
		"no separator":     strings.Replace(plain[4:], "_", "a", 1),
		"bad separator":    "tdm_" + strings.Replace(plain[4:], "_", "-", 1),
		"bad id":           "tdm_" + "!" + plain[5:],
		"bad inside":       plain[:30] + "." + plain[31:],
		"moved separator":  "tdm_" + plain[4:19] + "_" + plain[19:20] + plain[21:],
		"secret with zero": plain[:40] + "\x00" + plain[41:],
	} {
		if id, secret, ok := tenant.ParseKey(s); ok || id != "" || secret != "" {
			t.Errorf("%s: %q was taken for a key", name, s)
		}
	}
}

func FuzzParseKey(f *testing.F) {
	_, plain := tenant.NewKey(tenant.KeyParams{Tenant: "a", Role: tenant.RoleAdmin, Now: testTime})
	f.Add(plain)
	f.Add("tdm__")
	f.Add("tdm_" + strings.Repeat("a", 69))
	f.Fuzz(func(t *testing.T, s string) {
		id, secret, ok := tenant.ParseKey(s)
		if !ok {
			return
		}
		if "tdm_"+id+"_"+secret != s || len(id) != 16 || len(secret) != 52 || strings.ContainsAny(id, ".*> \t_/") {
			t.Fatalf("%q parsed as %q, %q", s, id, secret)
		}
	})
}
