package server

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"net/http/pprof" // #nosec G108 -- served only when asked for, to operators
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/tandem-serve/tandem/host/tenant"
)

// useInterval is how often the last use of keys is stored.
const useInterval = time.Minute

// followAccess ends calls whose credential was revoked, here or by another server, and stores when keys were last used,
// until ctx ends.
func (s *Server) followAccess(ctx context.Context) error {
	tick := time.NewTicker(useInterval)
	defer tick.Stop()
	for {
		select {
		case <-s.access:
			s.auth.Recheck(ctx)
		case <-tick.C:
			s.flushUse(ctx)
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.cfg.StopTimeout)
			defer cancel()
			s.flushUse(last)
			return nil
		}
	}
}

func (s *Server) flushUse(ctx context.Context) {
	if err := s.auth.FlushUse(ctx); err != nil && ctx.Err() == nil {
		s.cfg.Logger.WarnContext(ctx, "the last use of keys was not stored", slog.Any("error", err))
	}
}

// serverName returns the name under which this data folder counts usage. It is made once: servers that share a store must
// not share a name.
func serverName(dir string) (string, error) {
	path := filepath.Join(dir, "server-name")
	data, err := os.ReadFile(path) // #nosec G304 -- in the data folder
	if err == nil {
		return strings.TrimSpace(string(data)), nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("name of the server: %w", err)
	}
	name := uuid.NewString()
	if err := os.WriteFile(path, []byte(name+"\n"), 0o600); err != nil {
		return "", fmt.Errorf("name of the server: %w", err)
	}
	return name, nil
}

// operatorsOnly answers who administers the server, and who bears one of the keys that are for this alone: names of tenants, graphs and
// nodes are the tenants' own business. That a caller is on this machine says nothing: its other users are, and so is a proxy.
func operatorsOnly(auth *tenant.Authenticator, next http.Handler, keys ...metricsKey) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		header := r.Header.Get("Authorization")
		if !slices.ContainsFunc(keys, func(k metricsKey) bool { return k.matches(header) }) {
			p, err := auth.Authenticate(r.Context(), header)
			if err != nil {
				w.Header().Set("WWW-Authenticate", "Bearer")
				http.Error(w, refusedOperator, http.StatusUnauthorized)
				return
			}
			if !p.Can(tenant.ActionOperate) {
				http.Error(w, refusedOperator, http.StatusForbidden)
				return
			}
		}
		authenticated(r.Context())
		next.ServeHTTP(w, r)
	})
}

// refusedOperator is what others than operators are told.
const refusedOperator = "this needs the key of an admin of the tenant \"default\", and the metrics take the one in " + MetricsKeyFile + " of the data folder: " +
	"send Authorization: Bearer KEY"

// profiles serves what net/http/pprof does, without its entry in the default mux.
func profiles() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	return mux
}
