package tenant

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base32"
	"strings"
	"time"
)

const (
	keyPrefix    = "tdm_"
	keyIDLen     = 16 // 80 bits
	keySecretLen = 52 // 256 bits
	keyLen       = len(keyPrefix) + keyIDLen + 1 + keySecretLen
	keyAlphabet  = "abcdefghijklmnopqrstuvwxyz234567"
)

// Key is an API key as it is stored: never its secret, only a hash of it.
type Key struct {
	// ID is the public part, unique on the server.
	ID     string `json:"id"`
	Tenant ID     `json:"tenant"`
	// Name is for people.
	Name string `json:"name,omitempty"`
	Role Role   `json:"role"`
	// Graphs are the only ones that the key's role is for; none is everything of the tenant. Keys of [RoleAdmin] have none.
	Graphs []string `json:"graphs,omitempty"`
	// Hash is the SHA-256 of the secret part. The secret has 256 random bits, so a slow hash would add nothing.
	Hash      []byte    `json:"hash"`
	CreatedAt time.Time `json:"created_at"`
	// ExpiresAt is the moment from which the key is refused; the zero time is never.
	ExpiresAt time.Time `json:"expires_at,omitzero"`
}

// Matches reports whether secret is the key's secret, in a time that does not depend on where they differ.
func (k Key) Matches(secret string) bool {
	sum := sha256.Sum256([]byte(secret))
	return subtle.ConstantTimeCompare(sum[:], k.Hash) == 1
}

// KeyParams says what key to make.
type KeyParams struct {
	Tenant ID
	Name   string
	Role   Role
	// Graphs are the only ones that the key's role is for; none is everything.
	Graphs []string
	// Now is the creation time.
	Now time.Time
	// ExpiresAt is the zero time for never.
	ExpiresAt time.Time
}

// NewKey makes a key and returns it with its plain text, tdm_<id>_<secret>, which is not kept anywhere.
func NewKey(p KeyParams) (Key, string) {
	id, secret := randomText(10), randomText(32)
	return keyOf(p, id, secret), keyPrefix + id + "_" + secret
}

// ParseKey splits the plain text of a key into its id and its secret. It checks the form only.
func ParseKey(plain string) (id, secret string, ok bool) {
	rest, found := strings.CutPrefix(plain, keyPrefix)
	if !found || len(plain) != keyLen || rest[keyIDLen] != '_' {
		return "", "", false
	}
	id, secret = rest[:keyIDLen], rest[keyIDLen+1:]
	if strings.Trim(id, keyAlphabet) != "" || strings.Trim(secret, keyAlphabet) != "" {
		return "", "", false
	}
	return id, secret, true
}

func keyOf(p KeyParams, id, secret string) Key {
	sum := sha256.Sum256([]byte(secret))
	return Key{
		ID: id, Tenant: p.Tenant, Name: p.Name, Role: p.Role, Graphs: p.Graphs, Hash: sum[:],
		CreatedAt: p.Now.UTC(), ExpiresAt: p.ExpiresAt,
	}
}

func randomText(n int) string {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails: crypto/rand ends the process instead
	return base32.NewEncoding(keyAlphabet).WithPadding(base32.NoPadding).EncodeToString(b)
}
