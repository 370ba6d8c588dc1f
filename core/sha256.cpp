// SPDX-License-Identifier: Apache-2.0
#include "sha256.hpp"

#include <array>
#include <memory>

#include <openssl/evp.h>
#include <unistd.h>

namespace limpet {
namespace {

struct FreeContext {
    void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
};

std::string hexadecimal(const unsigned char* bytes, size_t length)
{
    constexpr char kDigits[] = "0123456789abcdef";
    std::string text;
    for (size_t i = 0; i < length; ++i) {
        text += kDigits[bytes[i] >> 4];
        text += kDigits[bytes[i] & 15];
    }
    return text;
}

} // namespace

Result<std::string> sha256_of(int fd)
{
    const Error failed{0, "cannot compute a SHA-256 sum: OpenSSL refuses"};
    const std::unique_ptr<EVP_MD_CTX, FreeContext> context(EVP_MD_CTX_new());
    if (!context || EVP_DigestInit_ex(context.get(), EVP_sha256(), nullptr) != 1)
        return failed;
    std::array<unsigned char, 65536> buffer{};
    for (off_t offset = 0;;) {
        const ssize_t length = ::pread(fd, buffer.data(), buffer.size(), offset);
        if (length < 0)
            return errno_error("cannot be read");
        if (length == 0)
            break;
        if (EVP_DigestUpdate(context.get(), buffer.data(), static_cast<size_t>(length)) != 1)
            return failed;
        offset += length;
    }
    std::array<unsigned char, EVP_MAX_MD_SIZE> sum{};
    unsigned int length = 0;
    if (EVP_DigestFinal_ex(context.get(), sum.data(), &length) != 1)
        return failed;
    return hexadecimal(sum.data(), length);
}

} // namespace limpet
