package server

import (
	"net/http"
	"time"

	"github.com/rs/cors"
)

// crossOrigin lets pages of the named origins call, as browsers ask for it; without any, no page of another origin may. Keys
// travel in a header that scripts set, never in cookies, so a page can do nothing in somebody else's name.
func crossOrigin(next http.Handler, origins []string) http.Handler {
	if len(origins) == 0 {
		return next
	}
	return cors.New(cors.Options{
		AllowedOrigins: origins, AllowedMethods: []string{http.MethodGet, http.MethodPost}, AllowCredentials: false,
		// What Connect and gRPC-Web send and read; see connectrpc.com/docs/cors.
		AllowedHeaders: []string{
			"Authorization", "Content-Type", "Connect-Protocol-Version", "Connect-Timeout-Ms", "Grpc-Timeout", "X-Grpc-Web", "X-User-Agent",
		},
		ExposedHeaders: []string{"Grpc-Status", "Grpc-Message", "Grpc-Status-Details-Bin", "Tandem-Request-Id"},
		MaxAge:         int((2 * time.Hour).Seconds()),
	}).Handler(next)
}
