// Package abi owns the binary layout that the host and its WebAssembly plugins share: names of exports and imports,
// offsets inside the request block and the value descriptor, kinds, dtypes and error numbers of ABI version 1 (tdm1).
// The normative text is docs/plugin-abi.md. The package imports only the standard library and holds no state.
package abi

// Version of the ABI as it stands in the request block.
const (
	Major = 1
	Minor = 0
	// Magic is "TDM1" read as a little-endian u32; it opens every request block.
	Magic = 0x314D4454
)

// ImportModule is the module name of every host function of ABI version 1.
const ImportModule = "tdm1"

// Names of the exports that the host looks for.
const (
	ExportMemory     = "memory"
	ExportDescribe   = "tdm1_describe"
	ExportAlloc      = "tdm1_alloc"
	ExportRun        = "tdm1_run"
	ExportInit       = "tdm1_init"
	ExportInitialize = "_initialize"
)

// Sizes of the two fixed structures, in bytes, and the alignment of tensor data.
const (
	RequestSize   = 64
	RequestAlign  = 64
	ValueSize     = 96
	ValueAlign    = 32
	DataAlign     = 64
	MaxRank       = 8
	MaxListLength = 1 << 16
)

// Byte offsets of the fields of the request block. All integers are little-endian; pointers are absolute addresses in
// the guest's linear memory.
const (
	ReqMagic      = 0  // u32, Magic
	ReqMajor      = 4  // u16
	ReqMinor      = 6  // u16
	ReqTotalLen   = 8  // u32, bytes of the arena that the host wrote, from the request block on
	ReqOp         = 12 // u32, index of the function in the description
	ReqNumIn      = 16 // u32
	ReqInPtr      = 20 // u32, address of NumIn value descriptors
	ReqOutCap     = 24 // u32, number of output descriptors that fit
	ReqOutPtr     = 28 // u32, address of OutCap value descriptors
	ReqNumOut     = 32 // u32, written by the guest
	ReqErrPtr     = 36 // u32, address of the buffer for an error text
	ReqErrCap     = 40 // u32, its size
	ReqErrLen     = 44 // u32, written by the guest
	ReqDeadlineNs = 48 // u64, time budget left at entry, nanoseconds; 0 means none
	ReqID         = 56 // u64, request id for logs
)

// Byte offsets of the fields of a value descriptor.
const (
	ValNamePtr = 0  // u32
	ValNameLen = 4  // u32
	ValKind    = 8  // u8, Kind
	ValDType   = 9  // u8, DType; 0 unless the kind is KindTensor
	ValRank    = 10 // u8
	ValFlags   = 11 // u8, Flag bits
	ValHandle  = 12 // u32, 0 means none
	ValDataPtr = 16 // u32
	ValItems   = 20 // u32, number of items when the kind is KindList, else 0
	ValDataLen = 24 // u64, bytes
	ValDims    = 32 // i64[8]

	ValMediaPtr = 32 // u32, address of the media type; only for KindBytes and KindImage, which have no dims
	ValMediaLen = 36 // u32, 0 means unknown, at most MaxMediaLength
)

// MaxMediaLength bounds a media type, in bytes.
const MaxMediaLength = 127

// Flags of a value descriptor.
const (
	FlagReadOnly  = 1 << 0 // the guest must not write the data
	FlagBound     = 1 << 1 // the host chose the buffer
	FlagHostSide  = 1 << 2 // the value lives on the host's side; Handle names it
	FlagTruncated = 1 << 3 // the data was cut to fit
	FlagAbsent    = 1 << 4 // an optional port that got no value
)

// Outcomes of tdm1_run. 1..255 are outcomes that a plugin declares; below zero is an error whose text stands in the
// buffer at ReqErrPtr.
const (
	OutcomeOK    = 0
	OutcomeError = -1
)

// Error numbers that host functions return.
const (
	ErrNotFound = -1
	ErrBadPtr   = -2
	ErrTooLarge = -3
	ErrQuota    = -4
	ErrDeadline = -5
	ErrDenied   = -6
	ErrBusy     = -7
	ErrModel    = -8
)
