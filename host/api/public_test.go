package api

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// Who has no key sends the server nothing large, whether it is compressed or not.
func TestPublicMessagesAreSmall(t *testing.T) {
	web := httptest.NewUnstartedServer(NewHandler(Config{Logger: slog.New(slog.DiscardHandler)}))
	web.EnableHTTP2 = true // reflection is asked and answers at once
	web.StartTLS()
	t.Cleanup(web.Close)
	large := bytes.Repeat([]byte(" "), publicBytes+1)
	var bomb bytes.Buffer
	z := gzip.NewWriter(&bomb)
	if _, err := z.Write(large); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	framed := func(flags byte, data []byte) []byte {
		return append(binary.BigEndian.AppendUint32([]byte{flags}, uint32(len(data))), data...)
	}
	const health, reflection = "/grpc.health.v1.Health/Check", "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"
	for name, tc := range map[string]struct {
		path, kind, encoding string
		body                 []byte
		want                 string
	}{
		"health":                {health, "application/json", "", []byte("{}"), "SERVING"},
		"large health":          {health, "application/json", "", large, "larger than configured max"},
		"compressed health":     {health, "application/json", "gzip", bomb.Bytes(), "larger than configured max"},
		"large reflection":      {reflection, "application/connect+proto", "", framed(0, large), "larger than configured max"},
		"compressed reflection": {reflection, "application/connect+proto", "gzip", framed(1, bomb.Bytes()), "larger than configured max"},
	} {
		t.Run(name, func(t *testing.T) {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, web.URL+tc.path, bytes.NewReader(tc.body))
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Content-Type", tc.kind)
			req.Header.Set("Content-Encoding", tc.encoding)
			req.Header.Set("Connect-Content-Encoding", tc.encoding)
			res, err := web.Client().Do(req)
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			answer, err := io.ReadAll(res.Body)
			if err == nil && bytes.HasPrefix(answer, []byte{3}) { // the end of a stream, compressed
				answer, err = unzipped(answer[len(framed(0, nil)):])
			}
			if err != nil || !strings.Contains(string(answer), tc.want) {
				t.Errorf("%s %q, %v; want %q", res.Status, answer, err, tc.want)
			}
		})
	}
}

func unzipped(data []byte) ([]byte, error) {
	z, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(z)
}
