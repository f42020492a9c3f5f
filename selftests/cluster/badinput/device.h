/* SPDX-License-Identifier: GPL-2.0 */
/* Part of badinput.c: the RAM device */

#define DEVICE	"/dev/hyperkernel/one-v"

static void *const bad_pointer = (void *)0x10;

static void fails(const char *name, long ret, int err)
{
	int got = ret < 0 ? errno : 0;

	check(got == err, name, "expected %s, got %s", err ? strerrorname_np(err) : "0",
	      got ? strerrorname_np(got) : "0");
}

#define IOCTL(name, err, fd, cmd, arg)	fails(name, ioctl(fd, cmd, arg), err)

static void try_mmap(const char *name, int fd, size_t len, int prot, int flags, off_t off,
		     int err)
{
	void *p = mmap(NULL, len, prot, flags, fd, off);

	fails(name, p == MAP_FAILED ? -1 : 0, err);
	if (p != MAP_FAILED)
		munmap(p, len);
}

static void device_any(int fd)
{
	const size_t ram = RAM_PAGES * 4096ul;
	const int rw = PROT_READ | PROT_WRITE;
	struct hk_info info = { .size = sizeof(info) };
	unsigned int nr;
	char c = 0;

	IOCTL("INFO", 0, fd, HK_IOC_INFO, &info);
	check(info.ram_bytes == ram && info.nr_vcpus == VCPUS && info.node == 1 &&
	      info.abi == HK_ABI_VERSION && info.vm == VM && !info.reserved, "INFO",
	      "wrong figures");
	info.size = 0;
	IOCTL("INFO size 0", EINVAL, fd, HK_IOC_INFO, &info);
	info.size = sizeof(info) - 1;
	IOCTL("INFO short", EINVAL, fd, HK_IOC_INFO, &info);
	info.size = sizeof(info) + 8;
	IOCTL("INFO long", EINVAL, fd, HK_IOC_INFO, &info);
	IOCTL("INFO bad pointer", EFAULT, fd, HK_IOC_INFO, bad_pointer);
	IOCTL("INFO no pointer", EFAULT, fd, HK_IOC_INFO, NULL);
	for (nr = 4; nr < 256; nr += 63)
		IOCTL("unknown number", ENOTTY, fd, _IOWR(HK_IOC_MAGIC, nr, struct hk_info),
		      &info);
	IOCTL("INFO of another size", ENOTTY, fd, _IOWR(HK_IOC_MAGIC, 0, char), &info);
	IOCTL("INFO of another magic", ENOTTY, fd, _IOWR(0xb8, 0, struct hk_info), &info);

	try_mmap("MAP_PRIVATE", fd, ram, rw, MAP_PRIVATE, 0, EINVAL);
	try_mmap("a page too long", fd, ram + 4096, rw, MAP_SHARED, 0, EINVAL);
	try_mmap("beyond the end", fd, 4096, rw, MAP_SHARED, ram, EINVAL);
	try_mmap("across the end", fd, 8192, rw, MAP_SHARED, ram - 4096, EINVAL);
	try_mmap("far beyond the end", fd, 4096, rw, MAP_SHARED, 1l << 50, EINVAL);
	try_mmap("last page", fd, 4096, rw, MAP_SHARED, ram - 4096, 0);
	try_mmap("all of it", fd, ram, rw, MAP_SHARED, 0, 0);
	fails("read", read(fd, &c, 1), EINVAL);
	fails("write", write(fd, &c, 1), EINVAL);
}

static void device_origin(int fd)
{
	struct hk_config_next n = { .size = sizeof(n) };
	struct hk_replica_vm v = { .size = sizeof(v), .vm_fd = -1 };
	struct hk_replica_vcpu r = { .size = sizeof(r), .vcpu_fd = -1,
				     .scratch_len = HK_SCRATCH_MIN };

	IOCTL("CONFIG_NEXT on the origin", EINVAL, fd, HK_IOC_CONFIG_NEXT, &n);
	IOCTL("REPLICA_VM on the origin", EINVAL, fd, HK_IOC_REPLICA_VM, &v);
	IOCTL("REPLICA_RUN on the origin", EINVAL, fd, HK_IOC_REPLICA_RUN, &r);
}

/* A section of the configuration, as the origin would send it */
static void send_base(struct peer *p, uint64_t seq)
{
	struct hk_wire_config *c = BODY(&scratch);
	struct hk_config_base *b = (void *)(c + 1);

	msg_init(p, &scratch, HK_MSG_VM_CONFIG, HK_LANE_CONTROL, VM,
		 sizeof(*c) + sizeof(*b));
	c->kind = HK_CONFIG_BASE;
	c->seq = seq;
	b->nr_vcpus = VCPUS;
	msg_send(p, &scratch);
}

static void on_alarm(int sig)
{
	(void)sig;
}

struct waiter {
	int fd;
	unsigned int cmd;
	void *arg;
	long ret;
	int err;
};

static void *wait_thread(void *data)
{
	struct waiter *w = data;

	w->ret = ioctl(w->fd, w->cmd, w->arg);
	w->err = errno;
	return NULL;
}

static void device_replica_config(int fd, struct peer *p)
{
	struct hk_config_base base;
	struct hk_config_next n = { .size = 0, .buf = (uintptr_t)&base,
				    .len = sizeof(base) };
	struct sigaction sa = { .sa_handler = on_alarm };
	struct itimerval it = { .it_value.tv_usec = 50000 };

	IOCTL("CONFIG_NEXT size 0", EINVAL, fd, HK_IOC_CONFIG_NEXT, &n);
	n.size = sizeof(n) - 1;
	IOCTL("CONFIG_NEXT short", EINVAL, fd, HK_IOC_CONFIG_NEXT, &n);
	n.size = sizeof(n) + 1;
	IOCTL("CONFIG_NEXT long", EINVAL, fd, HK_IOC_CONFIG_NEXT, &n);
	IOCTL("CONFIG_NEXT bad pointer", EFAULT, fd, HK_IOC_CONFIG_NEXT, bad_pointer);
	n.size = sizeof(n);
	sigaction(SIGALRM, &sa, NULL);
	setitimer(ITIMER_REAL, &it, NULL);
	IOCTL("CONFIG_NEXT and a signal", EINTR, fd, HK_IOC_CONFIG_NEXT, &n);
	send_base(p, 5);
	check(ping_answered(p), "CONFIG", "no answer");
	n.len = sizeof(base) - 1;
	IOCTL("CONFIG_NEXT without room", ENOSPC, fd, HK_IOC_CONFIG_NEXT, &n);
	check(n.len == sizeof(base) && !n.seq, "CONFIG_NEXT without room",
	      "len %u seq %llu", n.len, (unsigned long long)n.seq);
	n.buf = (uintptr_t)bad_pointer;
	IOCTL("CONFIG_NEXT bad buffer", EFAULT, fd, HK_IOC_CONFIG_NEXT, &n);
	n.buf = (uintptr_t)&base;
	n.seq = 0;
	IOCTL("CONFIG_NEXT", 0, fd, HK_IOC_CONFIG_NEXT, &n);
	check(n.seq == 5 && n.kind == HK_CONFIG_BASE && base.nr_vcpus == VCPUS,
	      "CONFIG_NEXT", "seq %llu kind %u", (unsigned long long)n.seq, n.kind);
}

static int kvm_vm(bool irqchip)
{
	struct kvm_enable_cap cap = { .cap = KVM_CAP_SPLIT_IRQCHIP, .args[0] = 24 };
	int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC), vm;

	if (kvm < 0)
		return -1;
	vm = ioctl(kvm, KVM_CREATE_VM, 0);
	close(kvm);
	if (vm >= 0 && irqchip && ioctl(vm, KVM_ENABLE_CAP, &cap))
		die("split irqchip");
	return vm;
}

static int kvm_of_parent, dev_of_parent;

static void as_other_process(void)
{
	struct hk_replica_vm v = { .size = sizeof(v), .vm_fd = kvm_of_parent };

	IOCTL("REPLICA_VM of another process", EBADF, dev_of_parent, HK_IOC_REPLICA_VM, &v);
}

static void device_replica_kvm(int fd, struct peer *p, bool irqchip)
{
	struct hk_replica_vm v = { .size = sizeof(v) };
	struct hk_replica_vcpu r = { .size = sizeof(r), .scratch_len = HK_SCRATCH_MIN };
	int vm = kvm_vm(irqchip), other, vcpu, stranger;
	struct answer an;
	struct waiter w;
	pthread_t t;
	long end;

	if (vm < 0) {
		printf("# no KVM here: not tested\n");
		return;
	}
	other = kvm_vm(true);
	vcpu = ioctl(vm, KVM_CREATE_VCPU, 0);
	stranger = ioctl(other, KVM_CREATE_VCPU, 0);
	r.scratch = (uintptr_t)mmap(NULL, HK_SCRATCH_MIN, PROT_READ | PROT_WRITE,
				    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	r.vcpu_fd = vcpu;
	IOCTL("REPLICA_RUN before REPLICA_VM", EINVAL, fd, HK_IOC_REPLICA_RUN, &r);

	v.size = 0;
	v.vm_fd = vm;
	IOCTL("REPLICA_VM size 0", EINVAL, fd, HK_IOC_REPLICA_VM, &v);
	v.size = sizeof(v) + 1;
	IOCTL("REPLICA_VM long", EINVAL, fd, HK_IOC_REPLICA_VM, &v);
	IOCTL("REPLICA_VM bad pointer", EFAULT, fd, HK_IOC_REPLICA_VM, bad_pointer);
	v.size = sizeof(v);
	v.vm_fd = -1;
	IOCTL("REPLICA_VM of no descriptor", EBADF, fd, HK_IOC_REPLICA_VM, &v);
	v.vm_fd = fd;
	IOCTL("REPLICA_VM of the RAM device", EBADF, fd, HK_IOC_REPLICA_VM, &v);
	v.vm_fd = vcpu;
	IOCTL("REPLICA_VM of a vCPU", EBADF, fd, HK_IOC_REPLICA_VM, &v);
	kvm_of_parent = vm;
	dev_of_parent = fd;
	in_child(as_other_process);
	v.vm_fd = vm;
	IOCTL("REPLICA_VM", 0, fd, HK_IOC_REPLICA_VM, &v);
	IOCTL("REPLICA_VM again", EEXIST, fd, HK_IOC_REPLICA_VM, &v);
	v.vm_fd = other;
	IOCTL("REPLICA_VM of a second one", EEXIST, fd, HK_IOC_REPLICA_VM, &v);

	IOCTL("REPLICA_RUN bad pointer", EFAULT, fd, HK_IOC_REPLICA_RUN, bad_pointer);
	r.size = 0;
	IOCTL("REPLICA_RUN size 0", EINVAL, fd, HK_IOC_REPLICA_RUN, &r);
	r.size = sizeof(r) - 8;
	IOCTL("REPLICA_RUN short", EINVAL, fd, HK_IOC_REPLICA_RUN, &r);
	r.size = sizeof(r);
	r.reserved = 1;
	IOCTL("REPLICA_RUN reserved", EINVAL, fd, HK_IOC_REPLICA_RUN, &r);
	r.reserved = 0;
	r.scratch_len = HK_SCRATCH_MIN - 1;
	IOCTL("REPLICA_RUN little scratch", EINVAL, fd, HK_IOC_REPLICA_RUN, &r);
	r.scratch_len = HK_SCRATCH_MIN;
	r.index = VCPUS;
	IOCTL("REPLICA_RUN no such vCPU", EINVAL, fd, HK_IOC_REPLICA_RUN, &r);
	r.index = ~0u;
	IOCTL("REPLICA_RUN vCPU -1", EINVAL, fd, HK_IOC_REPLICA_RUN, &r);
	r.index = 1;
	IOCTL("REPLICA_RUN another index than KVM's", EINVAL, fd, HK_IOC_REPLICA_RUN, &r);
	r.index = 0;
	r.vcpu_fd = -1;
	IOCTL("REPLICA_RUN no descriptor", EBADF, fd, HK_IOC_REPLICA_RUN, &r);
	r.vcpu_fd = vm;
	IOCTL("REPLICA_RUN of a VM", EBADF, fd, HK_IOC_REPLICA_RUN, &r);
	r.vcpu_fd = stranger;
	IOCTL("REPLICA_RUN of another VM's vCPU", EINVAL, fd, HK_IOC_REPLICA_RUN, &r);
	r.vcpu_fd = vcpu;
	if (!irqchip) {
		IOCTL("REPLICA_RUN without a LAPIC", EINVAL, fd, HK_IOC_REPLICA_RUN, &r);
		/* if it goes through now, the death of the VM ends it */
		w = (struct waiter){ fd, HK_IOC_REPLICA_RUN, &r, 0, 0 };
		pthread_create(&t, NULL, wait_thread, &w);
		end = now_ms() + 300;
		while (now_ms() < end && pthread_tryjoin_np(t, NULL))
			usleep(1000);
		ASK(VM_KILL, U32(VM_ID, VM), STR(REASON, "over"));
		pthread_join(t, NULL);
		check(w.ret < 0 && w.err == EINVAL, "REPLICA_RUN without a LAPIC, again",
		      "expected EINVAL, got %s", w.ret ? strerrorname_np(w.err) : "0");
	} else {
		w = (struct waiter){ fd, HK_IOC_REPLICA_RUN, &r, 0, 0 };
		pthread_create(&t, NULL, wait_thread, &w);
		/* READY goes out when the thread is lent */
		check(peer_expect(p, HK_MSG_REPLICA_READY, &scratch), "READY", "not sent");
		IOCTL("REPLICA_RUN twice", EBUSY, fd, HK_IOC_REPLICA_RUN, &r);
		an = ASK(VM_KILL, U32(VM_ID, VM), STR(REASON, "over"));
		expect(&an, "VM_KILL", 0, NULL);
		pthread_join(t, NULL);
		check(!w.ret || w.err == ESHUTDOWN, "REPLICA_RUN at the guest's end", "got %s",
		      strerrorname_np(w.err));
	}
	close(vcpu);
	close(stranger);
	close(vm);
	close(other);
}

static void device_tests(void)
{
	struct hk_config_next n = { .size = sizeof(n), .seq = 5 };
	struct waiter w;
	struct answer an;
	struct peer p;
	pthread_t t;
	int i, fd;

	node_set(DEAD_MS);
	check(link_up(&p, PEER), "link", "not up");
	for (i = 0; i < 4; i++) {
		an = vm_add_of(VM, "v", i ? PEER : 1, true);
		expect(&an, "VM_ADD", 0, NULL);
		fd = open(DEVICE, O_RDWR | O_CLOEXEC);
		if (!check(fd >= 0, "open", "%s", strerror(errno)))
			break;
		if (!i) {
			device_any(fd);
			group("ioctls and mappings of the RAM device");
			device_origin(fd);
			group("what is for replicas, on the origin");
		} else if (i == 1) {
			device_replica_config(fd, &p);
			w = (struct waiter){ fd, HK_IOC_CONFIG_NEXT, &n, 0, 0 };
			pthread_create(&t, NULL, wait_thread, &w);
			/* it says so before it waits */
			check(peer_expect(&p, HK_MSG_VM_CONFIG_ACK, &scratch), "ACK",
			      "not sent");
			an = ASK(VM_KILL, U32(VM_ID, VM), STR(REASON, "over"));
			expect(&an, "VM_KILL", 0, NULL);
			pthread_join(t, NULL);
			check(w.ret < 0 && w.err == ESHUTDOWN,
			      "CONFIG_NEXT at the guest's end", "got %s",
			      w.ret ? strerrorname_np(w.err) : "0");
			group("configuration on a replica");
		} else {
			device_replica_kvm(fd, &p, i == 2);
			group(i == 2 ? "KVM objects on a replica" :
			      "KVM objects without a LAPIC");
		}
		close(fd);
		check(vm_del(VM), "VM_DEL", "refused");
	}
	link_end(&p);
	node_reset();
	group("node after all that");
}
