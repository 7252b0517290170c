package e2e

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/binary"
	"hash/crc32"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
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

// TestDecompressionBombs sends a gibibyte as a few megabytes of gzip, in every protocol. It is refused by its size after decompression,
// and is never held whole.
func TestDecompressionBombs(t *testing.T) {
	t.Setenv("GOGC", "100") // or garbage of up to a gigabyte may wait for its collection
	s := start(t, rig.Options{})
	v := newVictim(t, s)
	_, key := newTenantWithKey(t, s, "bomber", nil)
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
		method  string
		headers map[string]string
		body    []byte
		refused func(res *http.Response, text string) bool
	}{
		"Connect": {
			"Infer",
			map[string]string{"Content-Type": "application/json", "Content-Encoding": "gzip"},
			bomb.Bytes(),
			func(res *http.Response, text string) bool {
				return res.StatusCode == http.StatusTooManyRequests && strings.Contains(text, "REASON_LIMIT_EXCEEDED")
			},
		},
		"Connect stream": {
			"InferStream",
			map[string]string{"Content-Type": "application/connect+proto", "Connect-Content-Encoding": "gzip"},
			frame,
			func(_ *http.Response, text string) bool { return strings.Contains(text, `"code":"resource_exhausted"`) },
		},
		"gRPC": {
			"Infer",
			map[string]string{"Content-Type": "application/grpc", "Grpc-Encoding": "gzip", "Te": "trailers"},
			frame,
			func(res *http.Response, _ string) bool {
				return res.Trailer.Get("Grpc-Status") == "8" || res.Header.Get("Grpc-Status") == "8" // RESOURCE_EXHAUSTED
			},
		},
		"gRPC-Web": {
			"Infer",
			map[string]string{"Content-Type": "application/grpc-web", "Grpc-Encoding": "gzip"},
			frame,
			func(res *http.Response, text string) bool {
				return res.Header.Get("Grpc-Status") == "8" || strings.Contains(strings.ToLower(text), "grpc-status: 8")
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			req, err := http.NewRequestWithContext(bounded(t), http.MethodPost, s.URL+"/tandem.v1.InferenceService/"+tc.method, bytes.NewReader(tc.body))
			if err != nil {
				t.Fatal(err)
			}
			for k, value := range tc.headers {
				req.Header.Set(k, value)
			}
			req.Header.Set("Authorization", "Bearer "+key)
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

// TestImageBombs sends images that are far larger than their files, in every format that is made here: those that claim a side more than
// is allowed, and true ones of the largest size, 64 megapixels of one colour. What they take is bounded.
func TestImageBombs(t *testing.T) {
	t.Setenv("GOGC", "100") // as above
	s := examples(t)
	photo := func(file []byte) error {
		_, err := s.Client.Infer(bounded(t), rig.GraphOCR, map[string]*tandemv1.Value{"photo": client.Image(file)})
		return err
	}
	for format, file := range largestImages(t) {
		t.Run(format, func(t *testing.T) {
			err := photo(oneMore(t, format, file))
			wantFailure(t, err, connect.CodeInvalidArgument, tandemv1.Reason_REASON_IMAGE_INVALID, "8001")

			before := residentMiB(t, s.PID())
			ctx, stop := context.WithCancel(t.Context())
			watched := watchMemory(ctx, t, s.PID())
			err = photo(file)
			stop()
			most := <-watched
			t.Logf("%d bytes that are 8000x8000 pixels: %v, %d MiB before, at most %d", len(file), err, before, most)
			if most > before+imageBombMiB {
				t.Errorf("the server had %d MiB, %d before the bomb", most, before)
			}
			switch client.Reason(err) {
			case tandemv1.Reason_REASON_UNSPECIFIED: // read, or nothing found in it
			case tandemv1.Reason_REASON_IMAGE_INVALID, tandemv1.Reason_REASON_LIMIT_EXCEEDED, tandemv1.Reason_REASON_DEADLINE_EXCEEDED:
			default:
				t.Errorf("got %v", err)
			}
			if _, err := s.Client.Infer(bounded(t), rig.GraphSideBySide, map[string]*tandemv1.Value{"text": client.Text("still here")}); err != nil {
				t.Errorf("others are not served: %v", err)
			}
		})
	}
}

// imageBombMiB is what the largest image may take: its pixels as they are decoded, as they are handed on and in the plugin (192 MB
// each), and as much again of garbage.
const imageBombMiB = 1024

// largestImages returns an image of the largest size in each format.
func largestImages(t *testing.T) map[string][]byte {
	t.Helper()
	flat := image.NewPaletted(image.Rect(0, 0, 8000, 8000), color.Palette{color.White, color.Black})
	out := map[string][]byte{}
	for format, encode := range map[string]func(io.Writer) error{
		"png":  func(w io.Writer) error { return (&png.Encoder{CompressionLevel: png.BestSpeed}).Encode(w, flat) },
		"gif":  func(w io.Writer) error { return gif.Encode(w, flat, nil) },
		"jpeg": func(w io.Writer) error { return jpeg.Encode(w, flat, nil) },
	} {
		var file bytes.Buffer
		if err := encode(&file); err != nil {
			t.Fatal(err)
		}
		out[format] = file.Bytes()
	}
	return out
}

// oneMore returns the image with a head that says that it is one pixel wider or higher.
func oneMore(t *testing.T, format string, file []byte) []byte {
	t.Helper()
	file = bytes.Clone(file)
	switch format {
	case "png": // the height in IHDR, which has a checksum
		binary.BigEndian.PutUint32(file[20:], 8001)
		binary.BigEndian.PutUint32(file[29:], crc32.ChecksumIEEE(file[12:29]))
	case "gif": // the width of the screen, and of the first frame
		binary.LittleEndian.PutUint16(file[6:], 8001)
	case "jpeg": // the height in the start of the frame
		at := bytes.Index(file, []byte{0xff, 0xc0})
		binary.BigEndian.PutUint16(file[at+5:], 8001)
	}
	return file
}
