package plugin

// The layout of ABI version 1. docs/plugin-abi.md in the server's repository is the normative text; the conformance suite
// there runs plugins built with this package against the server.

const (
	abiMagic = 0x314D4454
	abiMajor = 1
	maxRank  = 8

	flagAbsent = 1 << 4

	outcomeError = -1
)

// Kinds of a value.
const (
	kindTensor = 1
	kindBytes  = 2
	kindText   = 3
	kindJSON   = 4
	kindImage  = 5
	kindList   = 6
)

var kindNames = [...]string{
	"none", kindTensor: "tensor", kindBytes: "bytes", kindText: "text", kindJSON: "json", kindImage: "image", kindList: "list",
}

func kindName(k uint8) string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return "unknown kind"
}

// request is the block that one call starts from. Addresses are absolute in linear memory.
type request struct {
	magic        uint32
	major, minor uint16
	totalLen     uint32
	op           uint32
	numIn, inPtr uint32
	outCap       uint32
	outPtr       uint32
	numOut       uint32
	errPtr       uint32
	errCap       uint32
	errLen       uint32
	deadlineNs   uint64
	requestID    uint64
}

const requestSize = 64

// value describes one value.
type value struct {
	namePtr, nameLen         uint32
	kind, dtype, rank, flags uint8
	handle                   uint32
	dataPtr                  uint32
	items                    uint32
	dataLen                  uint64
	dims                     [maxRank]int64
}

const valueSize = 96
