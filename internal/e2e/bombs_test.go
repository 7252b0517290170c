package e2e

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"hash/crc32"
	"image"
	"image/color"
	"image/png"
	"io"
	"net/http"
	"strings"
	"testing"

	"connectrpc.com/connect/v2"

	"github.com/tandem-serve/tandem/internal/rig"
	tandemv1 "github.com/tandem-serve/tandem/proto/gen/tandem/v1"
	"github.com/tandem-serve/tandem/sdk/client"
)

// TestDecompressionBombs sends a gibibyte as a few megabytes of gzip, in Connect and in gRPC. It is refused by its size after
// decompression, and is never held whole.
func TestDecompressionBombs(t *testing.T) {
	t.Setenv("GOGC", "100") // or garbage of up to a gigabyte may wait for its collection
	s := start(t, rig.Options{})
	v := newVictim(t, s)
	var bomb bytes.Buffer
	zip, err := gzip.NewWriterLevel(&bomb, gzip.BestSpeed)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.CopyN(zip, spaces{}, 1<<30); err != nil {
		t.Fatal(err)
	}
	if err := zip.Close(); err != nil {
		t.Fatal(err)
	}
	frame := binary.BigEndian.AppendUint32([]byte{1}, uint32(bomb.Len()))
	frame = append(frame, bomb.Bytes()...)
	p := new(http.Protocols)
	p.SetUnencryptedHTTP2(true)
	http2 := &http.Client{Transport: &http.Transport{Protocols: p}}
	t.Cleanup(http2.CloseIdleConnections)
	before := residentMiB(t, s.PID())
	for name, tc := range map[string]struct {
		headers map[string]string
		body    []byte
		refused func(res *http.Response, text string) bool
	}{
		"Connect": {
			map[string]string{"Content-Type": "application/json", "Content-Encoding": "gzip"},
			bomb.Bytes(),
			func(res *http.Response, text string) bool {
				return res.StatusCode == http.StatusTooManyRequests && strings.Contains(text, "REASON_LIMIT_EXCEEDED")
			},
		},
		"gRPC": {
			map[string]string{"Content-Type": "application/grpc", "Grpc-Encoding": "gzip", "Te": "trailers"},
			frame,
			func(res *http.Response, _ string) bool {
				return res.Trailer.Get("Grpc-Status") == "8" || res.Header.Get("Grpc-Status") == "8" // RESOURCE_EXHAUSTED
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			req, err := http.NewRequestWithContext(bounded(t), http.MethodPost, s.URL+"/tandem.v1.InferenceService/Infer", bytes.NewReader(tc.body))
			if err != nil {
				t.Fatal(err)
			}
			for k, value := range tc.headers {
				req.Header.Set(k, value)
			}
			req.Header.Set("Authorization", "Bearer "+s.Key)
			res, err := http2.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			text, err := io.ReadAll(res.Body)
			if err != nil {
				t.Fatal(err)
			}
			if !tc.refused(res, string(text)) {
				t.Errorf("got %s %v %v %s", res.Status, res.Header, res.Trailer, text)
			}
			if now := residentMiB(t, s.PID()); now > before+768 { // buffers of at most 64 MiB that grow by doubling leave garbage
				t.Errorf("the server has %d MiB, %d before the bomb", now, before)
			}
			if err := v.call(t.Context()); err != nil {
				t.Errorf("others are not served: %v", err)
			}
		})
	}
}

// TestImageBombs sends images that are far larger than their files: one that claims a side more than is allowed, and a true one
// of the largest size, 64 megapixels of one colour.
func TestImageBombs(t *testing.T) {
	s := examples(t)
	flat := image.NewPaletted(image.Rect(0, 0, 8000, 8000), color.Palette{color.White, color.Black})
	var largest bytes.Buffer
	if err := (&png.Encoder{CompressionLevel: png.BestSpeed}).Encode(&largest, flat); err != nil {
		t.Fatal(err)
	}
	beyond := bytes.Clone(largest.Bytes())
	binary.BigEndian.PutUint32(beyond[20:], 8001)
	binary.BigEndian.PutUint32(beyond[29:], crc32.ChecksumIEEE(beyond[12:29]))
	_, err := s.Client.Infer(bounded(t), rig.GraphOCR, map[string]*tandemv1.Value{"photo": client.Image(beyond)})
	wantFailure(t, err, connect.CodeInvalidArgument, tandemv1.Reason_REASON_IMAGE_INVALID, "8001")

	before := residentMiB(t, s.PID())
	_, err = s.Client.Infer(bounded(t), rig.GraphOCR, map[string]*tandemv1.Value{"photo": client.Image(largest.Bytes())})
	t.Logf("%d bytes that are 8000x8000 pixels: %v, %d MiB before, %d after", largest.Len(), err, before, residentMiB(t, s.PID()))
	switch client.Reason(err) {
	case tandemv1.Reason_REASON_UNSPECIFIED: // read, or nothing found in it
	case tandemv1.Reason_REASON_IMAGE_INVALID, tandemv1.Reason_REASON_LIMIT_EXCEEDED, tandemv1.Reason_REASON_DEADLINE_EXCEEDED:
	default:
		t.Errorf("got %v", err)
	}
	if _, err := s.Client.Infer(bounded(t), rig.GraphSideBySide, map[string]*tandemv1.Value{"text": client.Text("still here")}); err != nil {
		t.Errorf("others are not served: %v", err)
	}
}
