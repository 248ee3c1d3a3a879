// Package common stands in for the part of a cloud's SDK that flannel's tencent-vpc backend compiles against.
// Not every module mirror holds that SDK; flanneld with every other backend is what the tests need.
package common

// StringPtr returns a pointer to a copy of text.
func StringPtr(text string) *string { return &text }

// BoolPtr returns a pointer to a copy of value.
func BoolPtr(value bool) *bool { return &value }

// StringPtrs returns one pointer for each of texts.
func StringPtrs(texts []string) []*string {
	pointers := make([]*string, 0, len(texts))
	for _, text := range texts {
		pointers = append(pointers, StringPtr(text))
	}
	return pointers
}
