package sandbox

// idleList is a list of idle instances, longest idle first.
type idleList struct {
	head, tail *instance
	n          int
}

func (l *idleList) push(in *instance) {
	l.n++
	in.prev, in.next = l.tail, nil
	if l.tail != nil {
		l.tail.next = in
	} else {
		l.head = in
	}
	l.tail = in
}

func (l *idleList) remove(in *instance) {
	if in.prev != nil {
		in.prev.next = in.next
	} else {
		l.head = in.next
	}
	if in.next != nil {
		in.next.prev = in.prev
	} else {
		l.tail = in.prev
	}
	l.n--
	in.prev, in.next = nil, nil
}
