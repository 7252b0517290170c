package tenant

import (
	"errors"
	"fmt"
)

// Limits are what a tenant may use. A field that is 0 takes its default ([DefaultLimits]); a negative one has no limit.
type Limits struct {
	// RequestsPerSecond bounds calls of any kind; as many may come at once after a second of silence.
	RequestsPerSecond float64 `json:"requests_per_second,omitempty"`
	// InFlight bounds calls that run at the same time.
	InFlight int64 `json:"in_flight,omitempty"`
	// BytesInFlight bounds what calls that run at the same time hold: bodies as they come in, outputs of nodes as they appear,
	// answers until they are sent.
	BytesInFlight int64 `json:"bytes_in_flight,omitempty"`
	// PluginMemoryBytes bounds the linear memory of the tenant's plugin instances, and their snapshots, together.
	PluginMemoryBytes int64 `json:"plugin_memory_bytes,omitempty"`
	// FuelPerSecond bounds what plugins execute; a unit is about one instruction. It is charged when a call ends, so a
	// tenant may run into debt by one call and waits until it is paid.
	FuelPerSecond float64 `json:"fuel_per_second,omitempty"`
	// LoadedModels bounds the models that are loaded at the same time.
	LoadedModels int64 `json:"loaded_models,omitempty"`
	// ModelMemoryBytes bounds what the loaded models are estimated to take.
	ModelMemoryBytes int64 `json:"model_memory_bytes,omitempty"`
	// BlobBytes bounds what models, plugins and graphs take on the disk: all versions and releases, uploads that are not finished, and
	// what was refused or deleted until it is gone.
	BlobBytes int64 `json:"blob_bytes,omitempty"`
	// Objects bounds models, plugins and graphs together, by name, those included that uploads and publications under way will make.
	Objects int64 `json:"objects,omitempty"`
	// RecordsPerSecond bounds what plugins record.
	RecordsPerSecond float64 `json:"records_per_second,omitempty"`
	// UploadBytesPerSecond bounds the chunks of uploads.
	UploadBytesPerSecond float64 `json:"upload_bytes_per_second,omitempty"`
}

// DefaultLimits are the limits of a tenant for which nothing else was said. They let one team work at ease on a machine of
// a few cores, and keep the worst of them from taking it over.
func DefaultLimits() Limits {
	return Limits{
		RequestsPerSecond: 1000, InFlight: 256, BytesInFlight: 512 << 20,
		PluginMemoryBytes: 4 << 30, FuelPerSecond: 4e9,
		LoadedModels: 64, ModelMemoryBytes: 4 << 30,
		BlobBytes: 20 << 30, Objects: 1000, RecordsPerSecond: 1000, UploadBytesPerSecond: 64 << 20,
	}
}

// Unlimited has no limits: the ones of [Default] until somebody sets others, so that a server of one team has none but the
// machine's.
func Unlimited() Limits {
	return Limits{
		RequestsPerSecond: -1, InFlight: -1, BytesInFlight: -1, PluginMemoryBytes: -1, FuelPerSecond: -1, LoadedModels: -1,
		ModelMemoryBytes: -1, BlobBytes: -1, Objects: -1, RecordsPerSecond: -1, UploadBytesPerSecond: -1,
	}
}

// Effective returns the tenant's limits with the defaults filled in.
func (t Tenant) Effective() Limits {
	def := DefaultLimits()
	if t.ID == Default {
		def = Unlimited()
	}
	l := t.Limits
	for _, f := range []struct{ p, def *float64 }{
		{&l.RequestsPerSecond, &def.RequestsPerSecond},
		{&l.FuelPerSecond, &def.FuelPerSecond},
		{&l.RecordsPerSecond, &def.RecordsPerSecond},
		{&l.UploadBytesPerSecond, &def.UploadBytesPerSecond},
	} {
		if *f.p == 0 {
			*f.p = *f.def
		}
	}
	for _, f := range []struct{ p, def *int64 }{
		{&l.InFlight, &def.InFlight},
		{&l.BytesInFlight, &def.BytesInFlight},
		{&l.PluginMemoryBytes, &def.PluginMemoryBytes},
		{&l.LoadedModels, &def.LoadedModels},
		{&l.ModelMemoryBytes, &def.ModelMemoryBytes},
		{&l.BlobBytes, &def.BlobBytes},
		{&l.Objects, &def.Objects},
	} {
		if *f.p == 0 {
			*f.p = *f.def
		}
	}
	return l
}

// QuotaError says that a call would exceed one of the tenant's limits.
type QuotaError struct {
	// Quota is the limit's name, as the field of [Limits] is called in JSON.
	Quota string
	// Limit is its value, Use what is used already, and Need what the call wanted besides, all in the limit's unit.
	Limit, Use, Need int64
	// RetryAfterSeconds is when it may be tried again. Of what time alone does not free it is [RetryHeld], and Advice says what does.
	RetryAfterSeconds float64
	// Advice says what makes room, for people. Default: waiting does.
	Advice string
}

// RetryHeld is the hint of when to try again, in seconds, for what a tenant holds until somebody gives it back or has the limit raised.
const RetryHeld = 60

// ErrQuota is what every [QuotaError] is.
var ErrQuota = errors.New("quota exceeded")

// Error names the quota, its limit, what is used and wanted, and what makes room.
func (e *QuotaError) Error() string {
	text := fmt.Sprintf("quota %s: the limit is %d, %d in use, %d wanted", e.Quota, e.Limit, e.Use, e.Need)
	if e.Advice != "" {
		text += "; " + e.Advice
	}
	return text
}

// Is reports whether target is [ErrQuota].
func (e *QuotaError) Is(target error) bool { return target == ErrQuota }
