/* Preloaded into a program, makes it see another x86-64 processor: less able, or of another maker.

   Libraries choose their code by what the instruction CPUID tells. Linux can make that instruction fail (since 4.12, on
   processors from 2012 on); this catches the failure, asks the real processor, and changes the answer. OTHER_PROCESSOR
   lists what to change: "avx512" and "avx2" take these away, "intel" makes it an AMD Zen 3. The C library itself has
   asked before; it is told by GLIBC_TUNABLES.

       cc -O2 -shared -fPIC -o other_processor.so other_processor.c
       OTHER_PROCESSOR=avx512 LD_PRELOAD=$PWD/other_processor.so python3 ...

   Where Linux can't do that, the program ends with exit code 77. */

#define _GNU_SOURCE
#include <cpuid.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

enum { SET_CPUID = 0x1012, CANNOT = 77 };

/* Bits of leaf 1 (ECX) and of leaf 7 (EBX, ECX, EDX), as Intel's and AMD's manuals number them. */
static const unsigned FMA_AVX_F16C = 1u << 12 | 1u << 28 | 1u << 29;
static const unsigned BMI_AVX2 = 1u << 3 | 1u << 5 | 1u << 8;
static const unsigned AVX512_B = 1u << 16 | 1u << 17 | 1u << 21 | 1u << 26 | 1u << 27 | 1u << 28 | 1u << 30 | 1u << 31;
static const unsigned AVX512_C = 1u << 1 | 1u << 6 | 1u << 8 | 1u << 9 | 1u << 10 | 1u << 11 | 1u << 12 | 1u << 14;
static const unsigned AVX512_D = 1u << 2 | 1u << 3 | 1u << 8 | 1u << 22 | 1u << 23 | 1u << 24 | 1u << 25;

static int without_avx512, without_avx2, without_intel;

static void answer(unsigned leaf, unsigned part, unsigned *a, unsigned *b, unsigned *c, unsigned *d) {
    syscall(SYS_arch_prctl, SET_CPUID, 1UL);
    __cpuid_count(leaf, part, *a, *b, *c, *d);
    syscall(SYS_arch_prctl, SET_CPUID, 0UL);
    if (leaf == 7 && part == 0 && without_avx512) {
        *b &= ~AVX512_B;
        *c &= ~AVX512_C;
        *d &= ~AVX512_D;
    }
    if (leaf == 7 && part == 1 && without_avx512)
        *a = 0;
    if (leaf == 7 && part == 0 && without_avx2)
        *b &= ~BMI_AVX2;
    if (leaf == 1 && without_avx2)
        *c &= ~FMA_AVX_F16C;
    if ((leaf == 0 || leaf == 0x80000000) && without_intel) {
        memcpy(b, "Auth", 4);
        memcpy(d, "enti", 4);
        memcpy(c, "cAMD", 4);
    }
    if (leaf == 1 && without_intel)
        *a = 0x00A20F10; /* family 25, model 33 */
}

static void failed(int number, siginfo_t *fact, void *context) {
    greg_t *registers = ((ucontext_t *)context)->uc_mcontext.gregs;
    const unsigned char *code = (const unsigned char *)registers[REG_RIP];
    unsigned a, b, c, d;

    (void)fact;
    if (code[0] != 0x0f || code[1] != 0xa2) { /* not CPUID: a crash like any other */
        signal(number, SIG_DFL);
        return;
    }
    answer((unsigned)registers[REG_RAX], (unsigned)registers[REG_RCX], &a, &b, &c, &d);
    registers[REG_RAX] = a;
    registers[REG_RBX] = b;
    registers[REG_RCX] = c;
    registers[REG_RDX] = d;
    registers[REG_RIP] += 2;
}

__attribute__((constructor)) static void start(void) {
    const char *without = getenv("OTHER_PROCESSOR");
    struct sigaction action = {.sa_sigaction = failed, .sa_flags = SA_SIGINFO | SA_NODEFER};

    if (!without)
        return;
    without_avx2 = strstr(without, "avx2") != NULL;
    without_avx512 = without_avx2 || strstr(without, "avx512") != NULL;
    without_intel = strstr(without, "intel") != NULL;
    sigaction(SIGSEGV, &action, NULL);
    if (syscall(SYS_arch_prctl, SET_CPUID, 0UL) != 0)
        _exit(CANNOT);
}
