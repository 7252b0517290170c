#include <stdint.h>
#include <stddef.h>
#define EXPORT(n) __attribute__((export_name(#n)))
#define N (1<<20)
static float fbuf[N];
static uint8_t bbuf[N];
static float obuf[N];

EXPORT(setup) void setup(void){ for(int i=0;i<N;i++){ bbuf[i]=(uint8_t)(i*31+7); fbuf[i]=(float)(i%1000)*0.01f-3.0f; } }
EXPORT(spin) int spin(int n){ unsigned h=1; for(int i=0;i<n;i++) h = h*1664525u+1013904223u+(unsigned)i; return (int)h; }
EXPORT(fib) int fib(int n){ return n<2?n:fib(n-1)+fib(n-2); }
EXPORT(sumf) float sumf(int n){ float s=0; for(int i=0;i<n;i++) s+=fbuf[i]; return s; }
EXPORT(normalise) float normalise(int n){ for(int i=0;i<n;i++) obuf[i]=((float)bbuf[i]/255.0f-0.485f)/0.229f; return obuf[n-1]; }
EXPORT(argmax) int argmax(int n){ int b=0; for(int i=1;i<n;i++) if(fbuf[i]>fbuf[b]) b=i; return b; }
static float expf_(float x){ float y=1.0f+x/256.0f; y*=y;y*=y;y*=y;y*=y;y*=y;y*=y;y*=y;y*=y; return y; }
EXPORT(softmax) float softmax(int n){ float m=fbuf[0]; for(int i=1;i<n;i++) if(fbuf[i]>m) m=fbuf[i];
 float s=0; for(int i=0;i<n;i++){ float e=expf_(fbuf[i]-m); obuf[i]=e; s+=e; } for(int i=0;i<n;i++) obuf[i]/=s; return obuf[5]; }
EXPORT(bilinear) float bilinear(int n){ int w=640,h=480,ow=224,oh=224; float acc=0; for(int r=0;r<n;r++) for(int y=0;y<oh;y++){ float fy=(y+0.5f)*h/oh-0.5f; int y0=(int)fy; float wy=fy-y0; for(int x=0;x<ow;x++){ float fx=(x+0.5f)*w/ow-0.5f; int x0=(int)fx; float wx=fx-x0; 
  for(int c=0;c<3;c++){ const uint8_t*p=bbuf+(y0*w+x0)*3%(N-4000)+c; float a=p[0]+(p[3]-p[0])*wx; float b=p[w*3]+(p[w*3+3]-p[w*3])*wx; obuf[(y*ow+x)*3+c]=a+(b-a)*wy; } } }
  return obuf[100]; }
EXPORT(sort) int sort(int n){ for(int i=0;i<n;i++) obuf[i]=fbuf[(i*7919)&(N-1)]; 
 for(int gap=n/2;gap>0;gap/=2) for(int i=gap;i<n;i++){ float t=obuf[i]; int j=i; while(j>=gap && obuf[j-gap]>t){ obuf[j]=obuf[j-gap]; j-=gap;} obuf[j]=t; } return (int)obuf[n/2]; }
EXPORT(crc) int crc(int n){ unsigned c=~0u; for(int i=0;i<n;i++){ c^=bbuf[i]; for(int k=0;k<8;k++) c=(c>>1)^(0xEDB88320u&-(c&1)); } return (int)~c; }
