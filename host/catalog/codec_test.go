package catalog_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tandem-serve/tandem/host/catalog"
	"github.com/tandem-serve/tandem/host/tenant"
)

func TestCodec(t *testing.T) {
	tn := tenant.Tenant{ID: "acme", CreatedAt: newClock().Now(), Suspended: true}
	data, err := catalog.Encode(tn)
	if err != nil {
		t.Fatal(err)
	}
	got, err := catalog.Decode(data)
	if diff := cmp.Diff(tn, got); diff != "" || err != nil {
		t.Fatalf("%v (-want +got):\n%s", err, diff)
	}
	// any byte of the record that is changed is found out
	start := bytes.Index(data, []byte(`"record":`)) + len(`"record":`)
	for i := start; i < len(data)-1; i++ {
		bad := bytes.Clone(data)
		bad[i] ^= 4
		_, err := catalog.Decode(bad)
		want(t, fmt.Sprintf("byte %d of %s", i, bad), err, catalog.ErrCorrupt)
	}
	for name, bad := range map[string]string{
		"empty":     "",
		"cut":       string(data[:len(data)/2]),
		"no object": "[]",
		"schema 2":  strings.Replace(string(data), `"schema":1`, `"schema":2`, 1),
		"no schema": strings.Replace(string(data), `"schema":1,`, "", 1),
		"no record": `{"schema":1,"crc32c":0}`,
	} {
		_, err := catalog.Decode([]byte(bad))
		want(t, name, err, catalog.ErrCorrupt)
	}
}

// TestCorruptRecord wants a damaged record to be reported wherever it is met, and to leave the others alone.
func TestCorruptRecord(t *testing.T) {
	c := open(t, catalog.Config{})
	m := put(t, c, "good", 1)
	put(t, c, "bad", 1)
	raw, err := c.GetRaw(t.Context(), "model.acme.bad")
	if err != nil {
		t.Fatal(err)
	}
	want(t, "damage", c.PutRaw(t.Context(), "model.acme.bad", bytes.Replace(raw, []byte(`"size":10`), []byte(`"size":99`), 1)), nil)
	_, e1 := c.GetModel(t.Context(), "acme", "bad", "")
	_, e2 := c.PutModel(t.Context(), "acme", catalog.ModelParams{Name: "bad", Digest: digest(3), Size: 1})
	_, e3 := c.References(t.Context())
	_, _, e4 := c.ListModels(t.Context(), "acme", catalog.Page{})
	for i, err := range []error{e1, e2, e3, e4, errOf(c.DeleteModel(t.Context(), "acme", "bad", ""))} {
		want(t, fmt.Sprint(i), err, catalog.ErrCorrupt)
		if err != nil && !strings.Contains(err.Error(), "model.acme.bad") {
			t.Errorf("%d: %v does not name the record", i, err)
		}
	}
	if got, err := c.GetModel(t.Context(), "acme", "good", ""); err != nil || got.Digest != m.Digest {
		t.Errorf("got %+v, %v", got, err)
	}
}

func FuzzDecode(f *testing.F) {
	data, err := catalog.Encode(tenant.Tenant{ID: "acme"})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add([]byte(`{"schema":1,"crc32c":0,"record":{}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		v, err := catalog.Decode(data)
		if err != nil {
			return
		}
		again, err := catalog.Encode(v)
		if err != nil {
			t.Fatal(err)
		}
		if back, err := catalog.Decode(again); err != nil || !back.CreatedAt.Equal(v.CreatedAt) || back.ID != v.ID {
			t.Fatalf("got %+v, %v; want %+v", back, err, v)
		}
	})
}

func FuzzParseRef(f *testing.F) {
	for _, s := range []string{"", "@3", "@prod", "latest", "@sha256:" + strings.Repeat("a", 64), "@@", "00"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		version, digest, tag, err := catalog.ParseRef(s)
		if err != nil {
			return
		}
		s = strings.TrimPrefix(s, "@")
		back := ""
		if version > 0 {
			back = fmt.Sprint(version)
		}
		if back += digest + tag; back != s {
			t.Fatalf("%q was read as %q", s, back)
		}
	})
}
