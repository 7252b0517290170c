package plugin

import "errors"

// Check reports everything that is wrong with how p is declared: names, tags, field types, defaults. The server refuses
// a plugin that Check refuses; call it in a unit test.
func Check(p Plugin) error {
	var faults []error
	if !validName(p.Name) {
		faults = append(faults, errors.New("plugin name "+quote(p.Name)+" is not a name: "+nameRule))
	}
	if len(p.Functions) == 0 {
		faults = append(faults, errors.New("the plugin has no functions"))
	}
	seen := map[string]bool{}
	for i := range p.Functions {
		f := &p.Functions[i]
		for _, err := range f.check() {
			faults = append(faults, errors.New("function "+f.name+": "+err.Error()))
		}
		if seen[f.name] {
			faults = append(faults, errors.New("function "+f.name+" stands there twice"))
		}
		seen[f.name] = true
	}
	return errors.Join(faults...)
}

func (f *Function) check() []error {
	var faults []error
	if f.invoke == nil {
		return []error{errors.New("not made by plugin.Func")}
	}
	if !validName(f.name) {
		faults = append(faults, errors.New("the name is not one: "+nameRule))
	}
	if f.err != nil {
		faults = append(faults, f.err)
	} else if _, err := f.decode(nil); err != nil && !errors.Is(err, errRequired) {
		faults = append(faults, err)
	}
	names, codes := map[string]bool{}, map[uint8]bool{}
	for _, o := range f.outcomes {
		if o == nil || o.code == 0 || !validName(o.name) || names[o.name] || codes[o.code] {
			faults = append(faults, errors.New("outcomes need a name and a code from 1 to 255 of their own"))
			break
		}
		names[o.name], codes[o.code] = true, true
	}
	return faults
}

const nameRule = "1 to 64 letters, digits, '_' and '-', starting with a letter"

func validName(s string) bool {
	if s == "" || len(s) > 64 {
		return false
	}
	for i := range len(s) {
		c := s[i]
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
		if !letter && (i == 0 || (c < '0' || c > '9') && c != '_' && c != '-') {
			return false
		}
	}
	return true
}
