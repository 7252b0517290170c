package wasmbin

// vectorTable describes the 128-bit SIMD instructions by sub-opcode. Sub-opcodes above 255 are relaxed SIMD, which is
// refused.
func vectorTable() [256]opInfo {
	var t [256]opInfo
	fillVectorMemory(&t)
	fillVectorLanes(&t)
	fillVectorUnary(&t)
	fillVectorBinary(&t)
	return t
}

func fillVectorMemory(t *[256]opInfo) {
	t[0] = opLoad(4, V128)
	fill(t[:], 1, 6, opLoad(3, V128)) // extending loads
	for i := range uint8(4) {         // splats; lanes
		t[7+i] = opLoad(i, V128)
		lanes := uint8(16) >> i
		t[84+i] = opInfo{imm: immMemArgLane, align: i, lanes: lanes, pops: 2, pop: [3]ValueType{I32, V128}, push: V128}
		t[88+i] = opInfo{imm: immMemArgLane, align: i, lanes: lanes, pops: 2, pop: [3]ValueType{I32, V128}}
	}
	t[11] = opStore(4, V128)
	t[92], t[93] = opLoad(2, V128), opLoad(3, V128) // load and zero
}

func fillVectorLanes(t *[256]opInfo) {
	t[12] = op0(V128).with(immV128)
	t[13] = op2(V128, V128, V128).with(immShuffle)
	t[14] = op2(V128, V128, V128)
	for i, lane := range []ValueType{I32, I32, I32, I64, F32, F64} {
		t[15+i] = op1(lane, V128)
	}
	extract := func(lanes uint8, lane ValueType) opInfo {
		return opInfo{imm: immLane, lanes: lanes, pops: 1, pop: [3]ValueType{V128}, push: lane}
	}
	replace := func(lanes uint8, lane ValueType) opInfo {
		return opInfo{imm: immLane, lanes: lanes, pops: 2, pop: [3]ValueType{V128, lane}, push: V128}
	}
	t[21], t[22], t[23] = extract(16, I32), extract(16, I32), replace(16, I32)
	t[24], t[25], t[26] = extract(8, I32), extract(8, I32), replace(8, I32)
	t[27], t[28] = extract(4, I32), replace(4, I32)
	t[29], t[30] = extract(2, I64), replace(2, I64)
	t[31], t[32] = extract(4, F32), replace(4, F32)
	t[33], t[34] = extract(2, F64), replace(2, F64)
}

func fillVectorUnary(t *[256]opInfo) {
	unary := op1(V128, V128)
	for _, r := range [][2]int{
		{77, 77},
		{94, 98},
		{103, 106},
		{116, 117},
		{122, 122},
		{124, 129},
		{135, 138},
		{148, 148},
		{160, 161},
		{167, 170},
		{192, 193},
		{199, 202},
		{224, 225},
		{227, 227},
		{236, 237},
		{239, 239},
		{248, 255},
	} {
		fill(t[:], r[0], r[1], unary)
	}
	for _, i := range []int{83, 99, 100, 131, 132, 163, 164, 195, 196} { // any_true, all_true, bitmask
		t[i] = op1(V128, I32)
	}
}

func fillVectorBinary(t *[256]opInfo) {
	binary := op2(V128, V128, V128)
	for _, r := range [][2]int{
		{35, 76},
		{78, 81},
		{101, 102},
		{110, 115},
		{118, 121},
		{123, 123},
		{130, 130},
		{133, 134},
		{142, 147},
		{149, 153},
		{155, 159},
		{174, 174},
		{177, 177},
		{181, 186},
		{188, 191},
		{206, 206},
		{209, 209},
		{213, 223},
		{228, 235},
		{240, 247},
	} {
		fill(t[:], r[0], r[1], binary)
	}
	t[82] = op3(V128, V128, V128, V128) // bitselect
	for _, i := range []int{107, 139, 171, 203} {
		fill(t[:], i, i+2, op2(V128, I32, V128)) // shifts
	}
}
